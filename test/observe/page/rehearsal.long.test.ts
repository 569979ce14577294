/** An incident, with the page alone: each fault is named on its first view, and order 17 tells why it was charged late. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { running, startKeelson } from '../../support/commands/keelson-command.ts'
import { noSmallDisk, smallDisk } from '../../support/harm/small-disk.ts'
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

describe.skipIf(lacks(withoutChromium))('in an incident (needs the build)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  /** The service with its faults, and the page that was opened when they were there. */
  const incident = async (folder: string) => {
    const dir = join(folder, 'd')
    const service = running(spawn(process.execPath, [program, dir]))
    await service.says('ready')
    const observer = startKeelson(['observe', '--dir', dir], folder)
    await observer.says(/#code=\S+\s/)
    const [url = ''] = /http:\S+/.exec(observer.printed()) ?? []
    const { page, console } = await openTab(browser, url)
    onTestFinished(() => page.close())
    await showView(page, 'overview')
    return { service, page, console }
  }

  /** The lines of the card of what is broken. */
  const broken = async (page: Page): Promise<string> =>
    (await page.evaluate(`document.querySelector('.card').innerText`)) as string

  test('the first view names a crash loop, a blocked entity, a projection that lags, and a step that hangs', async () => {
    const { page, console } = await incident(tempFolder())
    await waitForText(page, 'crash loop')
    await waitForText(page, 'hanging step')
    const toStep = '.card a[href="#/entity/order/23"]'
    await page.waitForSelector(toStep)

    const named = await broken(page)
    expect(named).toMatch(
      /crash loop\s+app\/gateway\s+[^\n]*?ECONNREFUSED 10\.0\.0\.7:5672\s+crashes\('app\/gateway'\) at the prompt · KeelsonCrashLoop\s+since [\d:]{8}, \d+ s/s,
    )
    expect(named).toMatch(
      /blocked\s+order\/99\s+[^\n]*an order without a customer\s+entity[^\n]+\s+since [\d:]{8}, \d+ s/s,
    )
    expect(named).toMatch(
      /projection suspended\s+shard 0\s+[^\n]+\s+projections\(\)[^\n]+\s+since [\d:]{8}, \d+ s/s,
    )
    expect(named).toMatch(
      /hanging step\s+order\/23\s+step ship runs for \d+ s\s+entity[^\n]+\s+since [\d:]{8}, \d+ s/s,
    )
    await page.locator(toStep).click()
    await page.waitForSelector('.main[data-view="entity"]')
    await waitForText(page, 'runs for 1')
    expect(console).toEqual([])
  })

  test('a worker in a crash loop has a page that follows it', async () => {
    const { page } = await incident(tempFolder())
    await page.locator('.card a[href="#/tree"]').click()
    await page.waitForSelector('.main[data-view="tree"] .tree a')
    // A tree that is drawn between an end and the next begin does not have it.
    await page.waitForFunction(`(() => {
      const links = [...document.querySelectorAll('.tree a')]
      const found = links.find((link) => link.innerText === 'gateway')
      found?.click()
      return found !== undefined
    })()`)
    await waitForText(page, 'has ended, this is the next one')
    await waitForText(page, 'ECONNREFUSED')
  })

  test('order 17, which fails, is one click away, and its turns say why it was charged late', async () => {
    const { page, service } = await incident(tempFolder())
    await page.locator('.card a[href="#/entity/order/17"]').click()
    await page.waitForSelector('.main[data-view="entity"]')
    await waitForText(page, 'Error: the bank is away')

    await service.write('bank\n')
    await waitForText(page, 'No step is pending.')
    await waitForText(page, '"paid"')
    const turns = (await page.evaluate(`document.querySelector('.turns').innerText`)) as string
    expect(turns.match(/step charge.*?Error: the bank is away/gs)?.length).toBeGreaterThan(1)
  })

  test.skipIf(lacks(noSmallDisk))('a full disk is named at once', async () => {
    const { page, service } = await incident(smallDisk('32m'))
    await waitForText(page, 'crash loop')

    await service.write('disk\n')
    await service.says('NO_SPACE')
    await waitForText(page, 'refuses writes')
    expect(await page.$eval('.vitals', (vitals) => vitals.textContent)).toContain('refuses writes')
    expect(await broken(page)).toMatch(
      /refuses writes\s+shard 0\s+[^\n]*no space left[^\n]*\s+wal\(\)[^\n]+\s+since [\d:]{8}, \d+ s/s,
    )
  })
})
