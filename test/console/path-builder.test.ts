import { expect, test } from 'vitest';
import { paths } from '../../console/src/path-builder.ts';

test('every page has one address', () => {
  expect({
    home: paths.home(),
    login: paths.login(),
    loginThenBack: paths.login('/records/0193?step=scan'),
    records: paths.records(),
    filteredRecords: paths.records({ result: 'denied', repository: 'shop/web', tag: 'v1', cursor: 'abc==' }),
    record: paths.record('0193a5f2-77aa'),
    recordStep: paths.record('0193a5f2-77aa', { step: 'scan' }),
    logLine: paths.record('0193a5f2-77aa', { step: 'build', line: 120 }),
    oddId: paths.record('a/b?c'),
    repositories: paths.repositories(),
    repository: paths.repository('crr-1'),
    sourceEvents: paths.repositorySourceEvents('crr-1', { outcome: 'ignored' }),
    sourceAccounts: paths.sourceAccounts(),
    connected: paths.sourceAccounts({ instance: 'hangzhou', sourceAccount: 'src-1' }),
    build: paths.repositoryBuild('crr-1'),
    buildLog: paths.repositoryBuild('crr-1', '0193'),
  }).toMatchInlineSnapshot(`
    {
      "build": "/repositories/crr-1/build",
      "buildLog": "/repositories/crr-1/build?build=0193",
      "connected": "/source-accounts?instance=hangzhou&sourceAccount=src-1",
      "filteredRecords": "/records?result=denied&repository=shop%2Fweb&tag=v1&cursor=abc%3D%3D",
      "home": "/",
      "logLine": "/records/0193a5f2-77aa?step=build#L120",
      "login": "/login",
      "loginThenBack": "/login?next=%2Frecords%2F0193%3Fstep%3Dscan",
      "oddId": "/records/a%2Fb%3Fc",
      "record": "/records/0193a5f2-77aa",
      "recordStep": "/records/0193a5f2-77aa?step=scan",
      "records": "/records",
      "repositories": "/repositories",
      "repository": "/repositories/crr-1",
      "sourceAccounts": "/source-accounts",
      "sourceEvents": "/repositories/crr-1/source-events?outcome=ignored",
    }
  `);
});
