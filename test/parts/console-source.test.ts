import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { consoleFolder } from '../../stack/console.ts';
import { axeFindings, launchBrowser, newReader } from '../support/browser.ts';
import type { Reader } from '../support/browser.ts';
import { createConsoleFixture } from '../support/console-fixture.ts';
import type { ConsoleFixture } from '../support/console-fixture.ts';

// Where code comes from: source accounts, what a repository is bound to, what its host told of, and picking from its code.

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
  // Logging in has its own tests; these begin with the session it ends in.
  await reader.context.addCookies([{ name: 'sid', value: '1', url: fixture.url }]);
});
afterEach(async () => {
  await reader.context.close();
  await fixture.close();
});

const open = (path: string): Promise<unknown> => page.goto(`${fixture.url}${path}`);

/** What axe finds now, and whether the page is wider than the screen. */
async function faults(): Promise<string[]> {
  const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
  return [...(await axeFindings(page)), ...(isWide === false ? [] : ['too wide'])];
}

test('accounts are added by token, checked, changed without asking for the token again, and deleted unless in use', async () => {
  await open('/repositories');
  await page.getByRole('link', { name: 'Source accounts' }).click();
  await page.getByText('GitHub of acme <b>bold</b>').waitFor();
  await page.getByRole('button', { name: 'Check the credential of code.example.test' }).click();
  await page.getByText('The host does not take the credential.').waitFor();

  await page.getByRole('button', { name: 'Add source account' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Host', { exact: true }).selectOption('GitLab');
  await form.getByLabel('Name').fill('GitLab of the shop');
  await form.getByLabel('Address').fill('https://gitlab.example.test');
  await form.getByLabel(/^Token/).fill('revoked');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText('The host does not take this token.').waitFor();
  expect(await faults()).toEqual([]);
  await form.getByLabel(/^Token/).fill('canary-token');
  await form.getByLabel(/^Token/).press('Enter');
  await form.waitFor({ state: 'detached' });
  await page.getByText('GitLab of the shop').waitFor();

  await page.getByRole('button', { name: 'Change GitLab of the shop' }).click();
  expect(await form.getByLabel('Credential').inputValue()).toBe('keep');
  expect(await form.innerHTML()).not.toContain('canary-token');
  await form.getByLabel('Name').fill('');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'detached' });
  expect(fixture.sources.accounts.get('src-3')).toMatchObject({ name: null, credentialKind: 'token' });

  await page.getByRole('button', { name: 'Delete gitlab.example.test' }).click();
  await form.getByRole('button', { name: 'Delete', exact: true }).click();
  await form.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Delete code.example.test' }).click();
  await form.getByRole('button', { name: 'Delete', exact: true }).click();
  await form.getByText('Repositories are bound through this source account: shop/web.').waitFor();
  await page.keyboard.press('Escape');
  await form.waitFor({ state: 'detached' });
  expect([...fixture.sources.accounts.keys()]).toEqual(['src-acme', 'src-code']);
});

test('a host with an application is connected in the browser, and the way back says what came of it', async () => {
  await open('/source-accounts');
  await page.getByRole('button', { name: 'Add source account' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Credential').selectOption('GitHub App, installed in the browser (https://github.com)');
  await form.getByRole('button', { name: 'Go to github.com…' }).click();
  await page.waitForURL('**/consent');
  await open('/source-accounts?instance=hangzhou&sourceAccount=src-acme');
  await page.getByText('GitHub of acme <b>bold</b> is connected.').waitFor();
  await open('/source-accounts?refused=denied');
  await page
    .getByRole('alert')
    .getByText(/did not give its consent/)
    .waitFor();
  await open('/source-accounts?refused=<img src=x>');
  await page.getByRole('heading', { name: 'Source accounts' }).waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('hosts without an application are not offered the browser, and an instance without accounts says how to begin', async () => {
  fixture.sources.authorizations.length = 0;
  fixture.sources.accounts.clear();
  await open('/source-accounts');
  await page.getByText('No source accounts yet').waitFor();
  await page.getByRole('button', { name: 'Add source account' }).click();
  const ways = await page.getByRole('dialog').getByLabel('Credential').locator('option').allTextContents();
  expect(ways).toEqual(['Token', 'None: public code only']);
});

test('a repository is bound by its Details, refused beside the field, and its hook secret is shown once', async () => {
  await open('/repositories/crr-tools');
  await page.getByRole('button', { name: 'Bind to code…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Owner or group').fill('acme');
  await dialog.getByLabel('Code repository').fill('missing');
  await dialog.getByRole('button', { name: 'Bind' }).click();
  await dialog.getByText('The source has no such repository').waitFor();
  await dialog.getByLabel('Code repository').fill('tools');
  await dialog.getByRole('button', { name: 'Bind' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByText('whsec_shown-this-once').waitFor();
  await page.getByText('The webhook was not installed, so pushes are only found every ten minutes').waitFor();
  expect(await faults()).toEqual([]);
  await page.getByRole('button', { name: 'I have copied it' }).click();
  expect(await page.getByText('whsec_').count()).toBe(0);
  await page.getByRole('button', { name: 'Rotate secret…' }).click();
  await dialog.getByRole('button', { name: 'Make a new secret' }).click();
  await page.getByText('whsec_shown-once-more').waitFor();
  await page.getByRole('button', { name: 'Unbind…' }).click();
  await dialog.getByRole('button', { name: 'Unbind' }).click();
  await page.getByText('This repository is not bound to code').waitFor();
  expect(await page.getByRole('link', { name: 'Source events' }).count()).toBe(0);
});

test('source events lead to what they started or say why nothing was, and can be narrowed and paged', async () => {
  await page.setViewportSize({ width: 320, height: 900 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await open('/repositories/crr-web');
  await page.getByRole('link', { name: 'Source events' }).click();
  await page.getByText('The host only tried the webhook').waitFor();
  expect(await faults()).toEqual([]);
  await page.setViewportSize({ width: 1_280, height: 900 });
  expect(await page.getByRole('link', { name: 'web #41' }).first().getAttribute('href')).toBe('/records/run-success');
  expect(await page.getByRole('link', { name: 'build', exact: true }).getAttribute('href')).toBe(
    '/repositories/crr-web/build?build=build-run-partial',
  );
  await page.getByText('The branch or tag was deleted').waitFor();
  await page.getByText('The body is no JSON <b>bold</b>.').waitFor();
  await page.getByRole('link', { name: 'Older' }).click();
  await page.getByText('found by comparing refs').waitFor();
  await page.getByText('deleted since').waitFor();
  await page.getByLabel('Outcome').selectOption('Superseded');
  await page.waitForURL('**/source-events?outcome=superseded');
  await page.getByText('The ref stands at d4ef3dc3 already').waitFor();
  expect(await page.getByText('found by comparing refs').count()).toBe(0);
});

test('ref, directory and Dockerfile of a rule are picked from the code by keyboard or typed; a host that is away is no hindrance', async () => {
  await open('/repositories/crr-web/build');
  await page.getByRole('button', { name: 'Add rule' }).click();
  const wizard = page.getByRole('dialog');
  await wizard.getByLabel('Branch or tag name').click();
  await page.getByRole('option', { name: 'develop' }).waitFor();
  await wizard.getByLabel('Branch or tag name').fill('rel');
  await page.getByRole('option', { name: 'develop' }).waitFor({ state: 'detached' });
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  expect(await wizard.getByLabel('Branch or tag name').inputValue()).toBe('release-v1');
  await wizard.getByLabel('Build context directory').click();
  await page.getByRole('option', { name: '/services/', exact: true }).click();
  await wizard.getByLabel('Build context directory').click();
  await page.getByRole('option', { name: '/services/web/' }).click();
  await wizard.getByText('There is no such file in the code now.').waitFor();
  await wizard.getByLabel('Dockerfile').click();
  expect(await faults()).toEqual([]);
  await page.getByRole('option', { name: 'Dockerfile.edge' }).click();

  fixture.sources.isHostAway = true;
  await wizard.getByLabel('Build context directory').fill('/elsewhere/deep/');
  await wizard.getByText('The source host cannot be asked now.').first().waitFor();
  await wizard.getByLabel('Build context directory').fill('/services/web/');
  await wizard.getByRole('button', { name: 'Next' }).click();
  await wizard.getByRole('button', { name: 'Next' }).click();
  await wizard.getByRole('button', { name: 'Confirm' }).click();
  await wizard.waitFor({ state: 'detached' });
  await page.getByText('services/web/Dockerfile.edge').waitFor();
});
