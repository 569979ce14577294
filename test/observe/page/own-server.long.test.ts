/** The page in a browser, served by an HTTP server of a host with a login, below a path. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { running } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  openTab,
  showView,
  startChromium,
  waitForText,
  withoutChromium,
} from '../views/chromium.ts'

const program = join(import.meta.dirname, '../../support/programs/observer-host.mjs')
const path = '/admin/observe/'

/** The host, which ends every login on a line of its input, and the address of its page. */
const openHost = async (mode: 'read' | 'write') => {
  const host = running(spawn(process.execPath, [program, tempFolder(), mode]))
  await host.says('ready on ')
  const port = /ready on (\d+)/.exec(host.printed())?.[1]
  return { host, url: `http://127.0.0.1:${port}${path}` }
}

describe.skipIf(lacks(withoutChromium))('in a server of a host, the page (needs the build)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  /** A tab of a browser of its own: one browser has six connections to a server. */
  const signedIn = async (url: string) => {
    const context = await browser.createBrowserContext()
    onTestFinished(() => context.close())
    await context.setCookie({ name: 'session', value: 's3cr3t', domain: '127.0.0.1', path: '/' })
    return openTab(context, url)
  }

  test('is refused without the login of the host, and shows every view with it', async () => {
    const { url } = await openHost('read')
    const stranger = await browser.newPage()
    expect((await stranger.goto(url))?.status()).toBe(401)
    await stranger.close()

    const { page, console } = await signedIn(url)
    for (const view of ['overview', 'tree', 'processes', 'entities', 'flows', 'store', 'storage'])
      await showView(page, view)
    await showView(page, 'tree')
    await waitForText(page, 'idle')
    expect(new URL(page.url()).pathname).toBe(path)
    expect(console).toEqual([])
  })

  test('acts in the name of the user of the host', async () => {
    const { url } = await openHost('write')
    const { page } = await signedIn(url)
    await showView(page, 'tree')
    await page.locator('.tree a ::-p-text(idle)').click()
    await page.waitForSelector('.main[data-view="process"]')

    await page.locator('button ::-p-text(Kill)').click()
    await page.locator('dialog input').fill('a trial')
    await page.locator('dialog button.primary:not(:disabled)').click()
    await page.locator('dialog button ::-p-text(Close)').click()
    await showView(page, 'log')
    await waitForText(page, 'ann, observing: kills idle <')
  })

  test('has room for eight tabs, and another one goes on when one of them is closed', async () => {
    const { url } = await openHost('read')
    const tabs = []
    for (let at = 0; at < 8; at++) {
      const { page } = await signedIn(url)
      await page.waitForSelector('.main[data-state="live"]')
      tabs.push(page)
    }
    const { page } = await signedIn(url)
    await waitForText(page, 'Eight tabs look already; close one.')

    await tabs[0]?.close()
    await showView(page, 'overview')
    await waitForText(page, 'Nothing is in trouble.')
  })

  test('says when the login has ended', async () => {
    const { url, host } = await openHost('read')
    const { page } = await signedIn(url)
    await showView(page, 'overview')

    await host.write('end\n')
    await page.evaluate("location.hash = '#/tree'")
    await page.waitForSelector('.main[data-state="ended"]')
    expect(await page.$eval('.main', (main) => main.textContent)).toContain('signed out')
  })
})
