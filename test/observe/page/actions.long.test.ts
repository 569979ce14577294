/** Actions of the page on a service that runs, in a browser: each does what it says, and is in the log. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { running, startKeelson } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  openTab,
  showView,
  startChromium,
  waitForText,
  withoutChromium,
} from '../views/chromium.ts'

const program = join(import.meta.dirname, '../../support/programs/incident.mjs')

describe.skipIf(lacks(withoutChromium))('in an incident, with --write (needs the build)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  const incident = async () => {
    const folder = tempFolder()
    const dir = join(folder, 'd')
    const service = running(spawn(process.execPath, [program, dir]))
    await service.says('ready')
    const observer = startKeelson(['observe', '--write', '--dir', dir], folder)
    await observer.says(/#code=\S+\s/)
    const [url = ''] = /http:\S+/.exec(observer.printed()) ?? []
    const { page, console } = await openTab(browser, url)
    onTestFinished(() => page.close())
    await showView(page, 'overview')
    return { service, page, console }
  }

  /** Performs the action of a button, and answers what the page says of it. */
  const perform = async (page: Page, button: string, typed?: string): Promise<string> => {
    await page.locator(`.main > :not(dialog) button ::-p-text(${button})`).click()
    await page.locator('dialog input').fill('a trial')
    if (typed !== undefined) await page.locator('dialog label:nth-of-type(2) input').fill(typed)
    await page.locator('dialog button.primary:not(:disabled)').click()
    await page.locator('dialog button ::-p-text(Close)').wait()
    const said = await page.$eval('dialog', (dialog) => dialog.textContent ?? '')
    await page.locator('dialog button ::-p-text(Close)').click()
    await page.waitForSelector('dialog', { hidden: true })
    return said
  }

  test('a step is tried now, and its actor is suspended, goes on, rests and is deleted', async () => {
    const { service, page, console } = await incident()
    await showView(page, 'entity/order/17')
    await waitForText(page, 'Error: the bank is away')
    expect(await perform(page, 'Retry now')).toContain('Done: runs the step charge of order/17 now')
    await service.write('bank\n')
    await waitForText(page, 'No step is pending.')
    await waitForText(page, '"paid"')

    await page.locator('.top a[href^="#/process/"]').click()
    await page.waitForSelector('.main[data-view="process"]')
    await perform(page, 'Suspend')
    await waitForText(page, 'suspended')
    expect(await perform(page, 'Resume')).toContain('Done: lets order/17')
    await page.waitForFunction(`!document.querySelector('.main').innerText.includes('suspended')`)

    await showView(page, 'entity/order/17')
    await perform(page, 'Stop')
    await waitForText(page, 'at rest')
    await perform(page, 'Delete', '17')
    await waitForText(page, 'It has no row')

    // The log tail is full of the crash loop; the last events have it as two lines.
    await showView(page, 'overview')
    for (const effect of [
      'runs the step',
      'suspends order/17',
      'go on',
      'lets order/17 rest',
      'deletes order/17',
    ])
      await waitForText(page, effect)
    expect(console).toEqual([])
  })

  test('the projection of a shard goes on, and a snapshot of it is made', async () => {
    const { page } = await incident()
    await waitForText(page, 'projection suspended')
    await showView(page, 'storage')
    await perform(page, 'Resume')
    await perform(page, 'Flush')
    expect(await perform(page, 'Snapshot')).toContain('Done: makes a snapshot of shard 0')

    await showView(page, 'overview')
    await page.waitForFunction(
      `!document.querySelector('.card').innerText.includes('projection suspended')`,
    )
  })

  test('a blocked actor stays blocked, and the page says so', async () => {
    const { page } = await incident()
    await showView(page, 'entity/order/99')
    await waitForText(page, 'blocked')

    await perform(page, 'Unblock')
    await waitForText(page, 'an order without a customer')
  })
})
