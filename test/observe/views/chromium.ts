/** A browser for tests of the page: Chromium of the distribution, without a window. */
import { existsSync } from 'node:fs'
import { type Browser, launch, type Page } from 'puppeteer-core'

const found = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)

/** Why no browser can be started here; `undefined`: one can. */
export const withoutChromium = found ? undefined : 'Chromium is not installed'

/** Starts a browser. As root it has no sandbox. */
export const startChromium = (): Promise<Browser> =>
  launch({
    executablePath: found ?? '',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    protocolTimeout: 300_000,
  })

/** A tab, and the lines and errors that its page has written to the console. */
export type Tab = { readonly page: Page; readonly console: readonly string[] }

/** The widths that the page is made for, in pixels. */
export const widths = [1_280, 390] as const

/** Opens an address in a tab with this width and theme. */
export const openTab = async (
  browser: Pick<Browser, 'newPage'>,
  url: string,
  { width = 1_280, theme = 'light' }: { readonly width?: number; readonly theme?: string } = {},
): Promise<Tab> => {
  const page = await browser.newPage()
  page.setDefaultTimeout(120_000)
  const lines: string[] = []
  page.on('console', (message) => lines.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => lines.push(String(error)))
  await page.setViewport({ width, height: 844 })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
  await page.goto(url)
  return { page, console: lines }
}

/** Waits until the page shows a view with a frame of its stream. */
export const showView = async (page: Page, address: string): Promise<void> => {
  await page.evaluate(`location.hash = '#/${address}'`)
  const view = address.split(/[/?]/)[0]
  await page.waitForSelector(`.main[data-view="${view}"][data-state="live"] > :not(.banner)`)
}

/** Waits until the text of the page has this in it. */
export const waitForText = async (page: Page, text: string): Promise<void> => {
  await page.waitForFunction(`document.body.innerText.includes(${JSON.stringify(text)})`)
}
