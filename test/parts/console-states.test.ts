import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { consoleFolder } from '../../stack/console.ts';
import { axeFindings, launchBrowser, logIn, newReader } from '../support/browser.ts';
import type { Reader } from '../support/browser.ts';
import { createConsoleFixture } from '../support/console-fixture.ts';
import type { ConsoleFixture } from '../support/console-fixture.ts';

// States a real stack shows only for moments or after faults: the console meets them on made-up Records.

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
});
afterEach(async () => {
  await reader.context.close();
  await fixture.close();
});

const enter = (): Promise<void> => logIn(page, fixture);
const open = (path: string): Promise<unknown> => page.goto(`${fixture.url}${path}`);
const stepHead = (name: string) => page.getByRole('button', { name: new RegExp(`^${name}: `) });

test('who is not logged in comes to the login page, and from there to where they wanted', async () => {
  await open('/records/run-denied');
  await page.getByLabel('Token', { exact: true }).fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('This token is not known').waitFor();
  await page.getByLabel('Token', { exact: true }).fill(fixture.token);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'shop/web · web · #40' }).waitFor();
  expect(page.url()).toBe(`${fixture.url}/records/run-denied`);
});

test('a printed address logs in once', async () => {
  await open('/login?code=once');
  await page.getByRole('heading', { name: 'Records' }).waitFor();
  expect(page.url()).toBe(`${fixture.url}/records`);
});

test('every state of a Record can be read, and nothing in it is HTML, in both themes and on a phone', async () => {
  await enter();
  const some = ['/records', '/records/run-denied', '/records/run-failed', '/records/run-success?step=trigger'];
  const all = [
    ...some,
    ...[
      '/records?tag=none',
      '/records/run-running',
      '/records/run-waiting',
      '/records/run-image',
      '/records/run-canceled',
    ],
    ...['/records/run-success?step=push', '/records/run-success?step=replicate'],
  ];
  const looks = [
    { colorScheme: 'light', width: 1_280, paths: all },
    { colorScheme: 'dark', width: 1_280, paths: some },
    { colorScheme: 'light', width: 320, paths: some },
  ] as const;
  const seen: string[] = [];
  for (const { colorScheme, width, paths } of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    for (const path of paths) {
      await open(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('.panel-loading').first().waitFor({ state: 'detached' });
      const findings = await axeFindings(page, { isColorsOnly: colorScheme === 'dark' });
      if ((await page.evaluate('document.documentElement.scrollWidth > innerWidth')) !== false) {
        findings.push('wider than the page');
      }
      seen.push(...findings.map((finding) => `${path} ${colorScheme} ${width}: ${finding}`));
    }
  }
  expect(seen).toEqual([]);
  expect(await page.evaluate("'__xss' in window")).toBe(false);
  expect(reader.complaints).toEqual([]);
}, 180_000);

test('a denied Record reads "Blocked", opens its scan and says which rule fired', async () => {
  await enter();
  await open('/records/run-denied');
  await page.getByText('critical 2 ≥ 1').waitFor();
  expect(await stepHead('Scan').getAttribute('aria-expanded')).toBe('true');
  expect(await page.getByText('Failed').count()).toBe(0);
  await page.getByRole('region', { name: 'Findings' }).waitFor();
  await page.getByLabel('Filter by CVE or package').fill('openssl');
  await page.getByText('of 87 findings').waitFor();
  expect(page.url()).toContain('q=openssl');
});

test('a failed build opens its log at the failing line', async () => {
  await enter();
  await open('/records/run-failed');
  const error = page.getByText(/failed to solve: process/);
  await error.waitFor();
  expect(await error.isVisible()).toBe(true);
});

test('the live log follows its end while the reader is there, else counts what is new; a lost stream loses no line', async () => {
  await enter();
  await open('/records/run-running');
  const log = page.getByRole('log');
  await log.getByText('#9 pushing layers').last().waitFor();
  fixture.appendLog('build-run-running', ['first new line']);
  await log.getByText('first new line').waitFor();

  await log.hover();
  await page.mouse.wheel(0, -3_000);
  await page.getByRole('button', { name: 'Jump to the end' }).waitFor();
  fixture.appendLog('build-run-running', ['second new line', 'third new line']);
  await page.getByRole('button', { name: '2 new lines' }).click();
  await log.getByText('third new line').waitFor();

  fixture.dropStreams();
  fixture.appendLog('build-run-running', ['written while away']);
  await log.getByText('written while away').waitFor();
  expect(await page.getByText('100 lines', { exact: true }).count()).toBe(1);
});

test('a log that is still empty fills up under the reader’s eyes', async () => {
  await fixture.close();
  fixture = await createConsoleFixture({ consoleDir: consoleFolder, logLines: { 'build-run-running': 0 } });
  await enter();
  await open('/records/run-running');
  await page.getByText('No line was written yet.').waitFor();
  fixture.appendLog(
    'build-run-running',
    Array.from({ length: 80 }, (_, index) => `line ${index + 1} of the work`),
  );
  await page.getByRole('log').getByText('line 80 of the work').waitFor();
  await expect(page.locator('.log-row').first().innerText()).resolves.toContain('of the work');
});

test('a line has an address of its own', async () => {
  await enter();
  await open('/records/run-success?step=build#L1200');
  const line = page.getByRole('link', { name: 'Line 1200', exact: true });
  await line.waitFor();
  expect(await page.locator('.log-row.is-marked').count()).toBe(1);
  await page.getByRole('link', { name: 'Line 1203', exact: true }).click({ modifiers: ['Shift'] });
  await page.waitForURL('**#L1200-L1203');
  expect(await page.locator('.log-row').count()).toBeLessThanOrEqual(100);
});

test('a search finds a line anywhere in the log and goes to it', async () => {
  await enter();
  await open('/records/run-success?step=build');
  await page.getByLabel('Search the log').fill('npm ci');
  await page.keyboard.press('Enter');
  await page.getByText(/^1 of \d+$/).waitFor();
  await page.keyboard.press('Enter');
  await page.getByText(/^2 of \d+$/).waitFor();
  expect(await page.locator('.log-row.is-found').innerText()).toContain('npm ci');
});

test('one architecture of the log can be read alone', async () => {
  await enter();
  await open('/records/run-success?step=build');
  await page.getByLabel('Architecture').selectOption('linux/arm64');
  const lines = page.locator('.log-row .log-number');
  await vi.waitFor(async () => {
    const numbers = (await lines.allInnerTexts()).map(Number);
    expect(numbers.length).toBeGreaterThan(5);
    expect(numbers.every((line) => line % 3 === 0)).toBe(true);
  });
});

test('a run is canceled only after a question', async () => {
  await enter();
  await open('/records/run-running');
  await page.getByRole('button', { name: 'Cancel run' }).click();
  await page.getByRole('button', { name: 'Keep it running' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  expect(fixture.requests).not.toContain('POST /v1/runs/run-running/cancel');
  await page.getByRole('button', { name: 'Cancel run' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel run' }).click();
  await page.getByText('Canceling…').waitFor();
});

test('a delivery shows its requests and answers and can be sent again', async () => {
  await enter();
  await open('/records/run-success?step=trigger');
  const delivery = page.getByRole('article', { name: 'deploy v1.4.0-d4ef3d' });
  await delivery.getByText('Attempt 1').click();
  await delivery.getByText('warming up').waitFor();
  await delivery.getByRole('button', { name: 'Resend' }).click();
  await delivery.getByText('Sent again').waitFor();
  expect(fixture.requests).toContain('POST /v1/deliveries/delivery-1/resend');
});

test('a change of a run shows without a reload; while the stream is away the page says so', async () => {
  await enter();
  await open('/records/run-running');
  await page.getByText('Running', { exact: true }).first().waitFor();
  const at = fixture.runs.findIndex(({ id }) => id === 'run-running');
  const success = fixture.runs.find(({ id }) => id === 'run-success');
  const run = fixture.runs[at];
  if (run === undefined || success === undefined) throw new Error('the fixture lacks its runs');
  fixture.runs[at] = { ...success, id: run.id, number: run.number };
  await vi.waitFor(() => expect(fixture.requests).toContain('GET /v1/events'));
  fixture.announce(run);
  await page.getByText('Succeeded in 1 m 52 s: 2 tags, 2 instances, 1 trigger').first().waitFor();

  fixture.dropStreams({ isDown: true });
  await page.getByText('Live updates paused, reconnecting').waitFor();
  fixture.dropStreams();
  await page.getByText('Live updates paused, reconnecting').waitFor({ state: 'detached' });
  expect(await page.getByRole('heading', { level: 1 }).innerText()).toContain('#42');
});

test('new runs appear at the top of the list, and only wait when the reader has scrolled away', async () => {
  const sample = fixture.runs[1];
  if (sample === undefined) throw new Error('the fixture lacks its runs');
  for (let number = 1; number <= 40; number += 1) fixture.runs.push({ ...sample, id: `run-old-${number}`, number });
  await enter();
  await page.getByRole('link', { name: '#42' }).waitFor();
  const fresh = { ...sample, id: 'run-fresh', number: 43 };
  fixture.runs.unshift(fresh);
  fixture.announce(fresh);
  await page.getByRole('link', { name: '#43' }).waitFor();

  await page.mouse.wheel(0, 600);
  await expect.poll(() => page.evaluate('scrollY')).toBeGreaterThan(100);
  const fresher = { ...sample, id: 'run-fresher', number: 44 };
  fixture.runs.unshift(fresher);
  fixture.announce(fresher);
  await page.getByRole('button', { name: '1 new run, show' }).click();
  await page.getByRole('link', { name: '#44' }).waitFor();

  await page.getByRole('link', { name: 'Older' }).click();
  await page.waitForURL('**cursor=30');
  expect(await page.getByRole('link', { name: 'Back to newest' }).count()).toBe(1);
});

test('filters stand in the address', async () => {
  await enter();
  await page.getByLabel('Result').selectOption('Blocked');
  await page.waitForURL('**result=denied');
  await vi.waitFor(async () => expect(await page.getByRole('row').count()).toBe(2));
  await page.getByLabel('Commit').fill('d4ef');
  await page.keyboard.press('Enter');
  await page.getByText('No run matches these filters').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByRole('link', { name: '#42' }).waitFor();
});

test('everything can be reached by keyboard, and a new page takes the focus to its heading', async () => {
  await enter();
  await page.getByRole('link', { name: '#41' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: '#41' }).waitFor();
  await vi.waitFor(async () => expect(await page.evaluate('document.activeElement.tagName')).toBe('H1'));
  expect(await page.title()).toBe('shop/web · web · #41 · Slipway');
  for (let presses = 0; presses < 20; presses += 1) {
    await page.keyboard.press('Tab');
    if ((await page.locator(':focus').getAttribute('aria-controls')) === 'step-push') break;
  }
  await page.keyboard.press('Enter');
  await page.getByText('application/vnd.oci.image.index.v1+json').waitFor();
  expect(page.url()).toContain('step=push');
});

test('a Record that is not there says so, with the id to quote', async () => {
  await enter();
  await open('/records/nope');
  const alert = page.getByRole('alert');
  await alert.getByText('There is no run "nope"').waitFor();
  expect(await alert.getByText('Request id').innerText()).toMatch(/req-\d+/);
});

test('the chosen theme is there from the first paint on', async () => {
  await enter();
  await page.getByLabel('Theme').selectOption('Dark');
  await page.reload({ waitUntil: 'commit' });
  await expect.poll(() => page.evaluate('document.documentElement.dataset.mantineColorScheme')).toBe('dark');
  await page.getByRole('heading', { name: 'Records' }).waitFor();
  expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(13, 17, 23)');
});
