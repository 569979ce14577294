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

const programs = join(import.meta.dirname, '../../support/programs')

describe.skipIf(lacks(withoutChromium))('with --write, the page (needs the build)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  /** The page beside a program that runs. */
  const beside = async (program: string) => {
    const folder = tempFolder()
    const dir = join(folder, 'd')
    const service = running(spawn(process.execPath, [join(programs, program), dir]))
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

  test('tries a step now, and suspends its actor, lets it go on and rest, and deletes it', async () => {
    const { service, page, console } = await beside('incident.mjs')
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
      'continue',
      'lets order/17 rest',
      'deletes order/17',
    ])
      await waitForText(page, effect)
    expect(console).toEqual([])
  })

  test('lets the projection of a shard go on, and makes a snapshot of it', async () => {
    const { page } = await beside('incident.mjs')
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

  test('says that an unblocked actor is still blocked', async () => {
    const { page } = await beside('incident.mjs')
    await showView(page, 'entity/order/99')
    await waitForText(page, 'blocked')

    await perform(page, 'Unblock')
    await waitForText(page, 'an order without a customer')
  })

  test('fires an alarm of an actor, and cancels another one', async () => {
    const { page, console } = await beside('operated.mjs')
    await showView(page, 'entity/visit/1')
    await waitForText(page, 'remind')

    expect(await perform(page, 'Fire now')).toContain('Done: fires the alarm forget of visit/1')
    await waitForText(page, '"forgotten"')
    expect(await perform(page, 'Cancel')).toContain('Done: cancels the alarm remind of visit/1')
    await waitForText(page, 'No alarm is set.')
    expect(await page.$eval('.main', (main) => main.textContent)).not.toContain('reminded')
    expect(console).toEqual([])
  })

  test('signals a run, cancels one, and retries one that failed and a dead job', async () => {
    const { service, page, console } = await beside('operated.mjs')
    await showView(page, 'run/approval/signalled')
    await page.waitForFunction(
      `document.querySelector('input[aria-label="Name of the signal"]')?.value === 'approve'`,
    )
    await page.locator('input[aria-label="Value of the signal"]').fill('{"name":"eve"}')
    expect(await perform(page, 'Send …')).toContain('Done: sends the signal approve')
    await waitForText(page, 'completed')

    await showView(page, 'run/approval/cancelled')
    await perform(page, 'Cancel run')
    await page.waitForFunction(`document.querySelector('.top').innerText.includes('cancelled')`)

    await service.write('bank\n')
    await service.says('done: bank')
    await showView(page, 'run/payment/failed')
    await perform(page, 'Retry')
    await waitForText(page, 'completed')

    await showView(page, 'queue/receipts')
    await perform(page, 'Retry job')
    await waitForText(page, 'No job is dead')
    expect(console).toEqual([])
  })

  test('opens a shard again when its log is mended, and accepts a clock that was set', async () => {
    const { service, page, console } = await beside('damaged-shard.mjs')
    await showView(page, 'storage')
    await waitForText(page, 'down')
    expect(await perform(page, 'Reopen')).toContain('CORRUPT')

    await service.write('disk\n')
    await service.says('done: disk')
    expect(await perform(page, 'Reopen')).toContain('Done: opens shard 1 again')
    await page.waitForFunction(`!document.querySelector('.main').innerText.includes('down')`)

    await service.write('clock\n')
    await service.says('done: clock')
    expect(await perform(page, 'Accept clock')).toContain('take the time of the clock')
    await page.waitForFunction(
      `!document.querySelector('.main').innerText.includes('Accept clock')`,
    )
    expect(console).toEqual([])
  })
})
