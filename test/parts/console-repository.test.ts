import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { consoleFolder } from '../../stack/console.ts';
import { axeFindings, launchBrowser, logIn, newReader } from '../support/browser.ts';
import type { Reader } from '../support/browser.ts';
import { createConsoleFixture } from '../support/console-fixture.ts';
import type { ConsoleFixture } from '../support/console-fixture.ts';

// The pages of a repository: what is built, when, and what became of it.

let browser: Browser;
let fixture: ConsoleFixture;
let reader: Reader;
let page: Page;

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  fixture = await createConsoleFixture({ consoleDir: consoleFolder });
  reader = await newReader(browser);
  page = reader.page;
  await logIn(page, fixture);
});
afterEach(async () => {
  await reader.context.close();
  await fixture.close();
});

const open = (path: string): Promise<unknown> => page.goto(`${fixture.url}${path}`);

test('a repository has a Build page only when it is bound to code; else its Details say how to bind it', async () => {
  await open('/repositories');
  await page.getByRole('link', { name: 'shop/tools' }).click();
  await page.getByText('This repository is not bound to code').waitFor();
  await page.getByText('docker pull hangzhou-registry.example.test/shop/tools:<tag>').waitFor();
  expect(await page.getByRole('link', { name: 'Build', exact: true }).count()).toBe(0);
  await page.getByRole('link', { name: 'Repositories' }).first().click();
  await page.getByRole('link', { name: 'shop/web' }).click();
  await page.getByText('https://code.example.test/acme/shop.git').waitFor();
  await page.getByRole('link', { name: 'Build', exact: true }).click();
  await page.getByRole('heading', { name: 'Build rules' }).waitFor();
});

test('a rule is made in three steps, its tags are seen before anything is stored, and Confirm stores it', async () => {
  await open('/repositories/crr-web/build');
  await page.getByRole('button', { name: 'Add rule' }).click();
  const wizard = page.getByRole('dialog');
  await wizard.getByLabel('The name is').selectOption('a regular expression');
  await wizard.getByLabel('Branch or tag name').fill('release-(?<imageTag>v.*)');
  await wizard.getByText('2 of 4 match').waitFor();
  await wizard.getByRole('button', { name: 'Next' }).click();
  await wizard.getByLabel('Template').fill('${imageTag}');
  await wizard.getByLabel('Build time').fill('yyyyMMddHHmm');
  await wizard.getByLabel('Commit id, characters').fill('6');
  await wizard.getByText('v1-202611211625-d4ef3d').waitFor();
  await wizard.getByRole('button', { name: 'Next' }).click();
  await wizard.getByLabel('linux/arm64').check();
  await wizard.getByLabel('Build parameters').fill('VERSION=1\nMODE=release');
  expect(fixture.requests.filter((request) => request.startsWith('POST') && request.endsWith('/build-rules'))).toEqual(
    [],
  );
  await wizard.getByRole('button', { name: 'Confirm' }).click();
  await wizard.waitFor({ state: 'detached' });
  await page.getByText('release-(?<imageTag>v.*)').waitFor();
  await page.getByText('linux/amd64, linux/arm64').first().waitFor();
});

test('what is wrong with a rule is said beside the preview and leads to its step', async () => {
  await open('/repositories/crr-web/build');
  await page.getByRole('button', { name: 'Modify the rule main' }).click();
  const wizard = page.getByRole('dialog');
  await wizard.getByRole('button', { name: /Step 2 of 3/ }).click();
  await wizard.getByLabel('Template').fill('${nothing}');
  await wizard.getByText(/The template names "nothing"/).waitFor();
  await wizard.getByRole('button', { name: /Step 3 of 3/ }).click();
  await wizard.getByRole('button', { name: 'Confirm' }).click();
  await wizard.getByRole('alert').waitFor();
  await wizard.getByLabel('Template').waitFor();
  await wizard.getByLabel('Template').fill('stable');
  await wizard.getByRole('button', { name: 'Next' }).click();
  await wizard.getByRole('button', { name: 'Confirm' }).click();
  await wizard.waitFor({ state: 'detached' });
  await page.getByText('stable', { exact: true }).waitFor();
  expect(fixture.requests.filter((request) => request.startsWith('PUT'))).toHaveLength(2);
});

test('the Build button of a rule without one ref is greyed and says why; a named ref can be built', async () => {
  await open('/repositories/crr-web/build');
  const refused = page.getByRole('button', { name: 'Build release-(?<imageTag>.*)' });
  await refused.waitFor();
  expect(await refused.getAttribute('aria-disabled')).toBe('true');
  await page.getByText(/its ref is a regular expression/).waitFor();
  await page.getByRole('button', { name: 'Build main' }).click();
  await page.getByRole('button', { name: 'Build a ref…' }).last().click();
  await page.getByRole('dialog').getByLabel('Branch or tag').fill('release-v1');
  await page.getByRole('dialog').getByRole('button', { name: 'Start build' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const builds = fixture.requests.filter((request) => /^POST .*\/builds$/.test(request));
  expect(builds).toEqual(['POST /v1/build-rules/crbr-main/builds', 'POST /v1/build-rules/crbr-release/builds']);
});

test('builds show their place in line, what is missing, and their log on the same page; rules their last start by the clock', async () => {
  await open('/repositories/crr-web/build');
  await page.getByText(/Schedule .*: not started – The source has no branch "nightly" now\./).waitFor();
  await page.getByText('Place 3 of 12 in line').waitFor();
  await page.getByText('partial', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Log of the build of d4ef3dc3' }).last().click();
  await page.getByText(/failed to solve: process/).waitFor();
  await page.getByRole('link', { name: 'Line 58', exact: true }).click();
  await page.waitForURL('**/repositories/crr-web/build?build=build-run-failed#L58');
  await page.getByRole('link', { name: 'Close log' }).click();
  await page.getByRole('log').waitFor({ state: 'detached' });
  expect(page.url()).toMatch(/\/build$/);
});

test('settings are saved, and a rule goes only after a question', async () => {
  await open('/repositories/crr-web/build');
  await page.getByLabel('Build without cache').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect.poll(() => fixture.requests.includes('PUT /v1/repositories/crr-web')).toBe(true);
  await page.getByRole('button', { name: 'Delete the rule main' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: 'Build main' }).waitFor({ state: 'detached' });
});

test('the pages can be read in both themes, on a phone, and with the wizard open', async () => {
  const seen: string[] = [];
  const check = async (what: string): Promise<void> => {
    seen.push(...(await axeFindings(page)).map((finding) => `${what}: ${finding}`));
    if ((await page.evaluate('document.documentElement.scrollWidth > innerWidth')) !== false)
      seen.push(`${what}: too wide`);
  };
  const paths = [
    '/repositories',
    '/repositories/crr-tools',
    '/repositories/crr-web/build',
    '/records/run-partial?step=push',
  ];
  for (const [colorScheme, width] of [
    ['light', 1_280],
    ['dark', 320],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    for (const path of paths) {
      await open(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('.panel-loading').first().waitFor({ state: 'detached' });
      await check(`${path} ${colorScheme}`);
    }
    await open('/repositories/crr-web/build');
    await page.getByRole('button', { name: 'Modify the rule release-(?<imageTag>.*)' }).click();
    await page.getByRole('dialog').getByText('2 of 4 match').waitFor();
    for (const step of [1, 2, 3]) {
      await page.getByRole('button', { name: new RegExp(`Step ${step} of 3`) }).click();
      await check(`wizard ${step} ${colorScheme}`);
    }
  }
  expect(seen).toEqual([]);
  expect(reader.complaints).toEqual([]);
}, 180_000);
