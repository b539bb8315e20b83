import { expect, test } from 'vitest';
import { definitionOf, draftOf, newBuildRule, stepOfPointer } from '../../console/src/forms/build-rule.ts';
import { buildRuleSchema } from '../../domain/build.ts';

test('the rule the wizard begins with is one the API takes', () => {
  expect(buildRuleSchema.parse(definitionOf(newBuildRule))).toMatchObject({
    ref: { type: 'branch', name: 'main', match: 'exact' },
    imageTags: [{ template: 'latest', buildTime: null, commitIdLength: null }],
  });
});

test('a rule with every field comes out of the wizard as it went in', () => {
  const rule = buildRuleSchema.parse({
    ref: { type: 'branch', name: 'release-(?<v>.*)', match: 'regexp' },
    contextDirectory: 'services/web',
    dockerfile: 'docker/Dockerfile',
    imageTags: [
      { template: '${v}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30, timeZone: 'Europe/Berlin' },
      { commitIdLength: 6 },
    ],
    architectures: ['linux/amd64', 'linux/arm64'],
    buildParameters: [
      { key: 'A', value: 'x=y' },
      { key: 'B', value: '' },
    ],
    timeoutMinutes: 90,
    enabled: false,
    paths: { include: ['services/web/**'], exclude: ['**/*.md'] },
    secrets: [{ id: 'npm', secretRef: 'npm-token' }],
    targetStage: 'final',
    allowPartial: true,
  });
  expect(buildRuleSchema.parse(definitionOf(draftOf(rule)))).toEqual(rule);
});

test('when a rule builds besides pushes is kept too', () => {
  const rule = buildRuleSchema.parse({
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
    schedule: { cron: '0 3 * * 1-5', timeZone: 'Asia/Shanghai' },
    onBaseImageUpdate: true,
  });
  expect(buildRuleSchema.parse(definitionOf(draftOf(rule)))).toEqual(rule);
});

test('a field that is wrong belongs to one step of the wizard', () => {
  const pointers = ['/ref/name', '/dockerfile', '/imageTags/0/template', '/buildParameters/1/key', '/schedule/cron'];
  expect(pointers.map(stepOfPointer)).toEqual([0, 0, 1, 2, 2]);
});
