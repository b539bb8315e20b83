import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';

/** Debian's own Chromium; a missing one fails the test. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A browser of one reader: what its console complains about is collected, policy violations too. */
export interface Reader {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors of the console, of scripts and of the content security policy. */
  readonly complaints: string[];
}

export async function newReader(
  browser: Browser,
  { colorScheme = 'light', width = 1_280 }: { colorScheme?: 'light' | 'dark'; width?: number } = {},
): Promise<Reader> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}

/** Logs in as a reader does: by the form. */
export async function logIn(page: Page, { url, token }: { url: string; token: string }): Promise<void> {
  await page.goto(`${url}/login`);
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Records' }).waitFor();
}

/** What axe finds against WCAG 2.2 AA, one line each. A second theme changes nothing but colors: `isColorsOnly` asks for those alone. */
export async function axeFindings(
  page: Page,
  { isColorsOnly = false }: { isColorsOnly?: boolean } = {},
): Promise<string[]> {
  // What passed is not described either: half of the time.
  const axe = new AxeBuilder({ page }).options({ resultTypes: ['violations'] });
  const rules = isColorsOnly
    ? axe.withRules(['color-contrast', 'link-in-text-block'])
    : axe.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']);
  const { violations } = await rules.analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary ?? ''}`),
  );
}
