/** The page after mishaps of its machine and its network, with made-up answers. */
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { lacks } from '../../support/lacks.ts'
import { openTab, showView, startChromium, waitForText, withoutChromium } from './chromium.ts'
import type { Scenario } from './made-up-overview.ts'
import { servePage } from './page-server.ts'

/** Timers of more than a second wait for `sleep(ms)`: the clock jumps, and those that are due run. */
const sleepyClock = `{
  const [now, later, forget] = [Date.now, window.setTimeout, window.clearTimeout]
  const timers = new Map()
  let [ahead, last] = [0, 1e9]
  Date.now = () => now() + ahead
  window.setTimeout = (work, ms, ...others) => {
    if (!(ms > 1_000)) return later(work, ms, ...others)
    timers.set(++last, { at: Date.now() + ms, work })
    return last
  }
  window.clearTimeout = (id) => (timers.delete(id) ? undefined : forget(id))
  window.sleep = (ms) => {
    ahead += ms
    for (const [id, { at, work }] of timers)
      if (at <= Date.now() && timers.delete(id)) work()
  }
}`

/** Keeps the texts of canvases, each with its place. */
const keptTexts = `{
  window.drawn = []
  const fill = CanvasRenderingContext2D.prototype.fillText
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const { a: scale, e: offset } = this.getTransform()
    drawn.push({ text, x: x * scale + offset, y, width: this.measureText(text).width * scale })
    return fill.apply(this, arguments)
  }
}`

const hours = 3_600_000

describe.skipIf(lacks(withoutChromium))('after a mishap, the page', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  const opened = async (scenario: Scenario, script = '') => {
    const server = await servePage(scenario)
    onTestFinished(server.close)
    const { page, console } = await openTab(browser, 'about:blank')
    onTestFinished(() => page.close())
    await page.evaluateOnNewDocument(script)
    await page.goto(server.url)
    await showView(page, 'overview')
    return { server, page, console }
  }

  const state = (page: Page, word: string) =>
    page.waitForSelector(`.main[data-state="${word}"] > :not(.banner)`)

  test('goes on when its machine has slept for eight hours and its connection is gone', async () => {
    const { server, page, console } = await opened('busy', sleepyClock)
    await waitForText(page, 'Nothing is in trouble.')

    server.forget()
    server.become('broken', 8 * hours)
    await page.evaluate(`sleep(${8 * hours})`)
    await state(page, 'lost')
    await state(page, 'live')
    await waitForText(page, 'failed 37 times in the last minute')

    await page.evaluate(`sleep(2_000)`)
    server.become('busy')
    await waitForText(page, 'Nothing is in trouble.')
    await state(page, 'live')
    expect(console).toEqual([])
  })

  test('keeps the turns that it has, and says why no more came', async () => {
    const { server, page } = await opened('busy')
    await showView(page, 'entity/order/17')
    const turns = () => page.$$eval('.turns li', (found) => found.length)
    await page.waitForSelector('.turns li')
    const before = await turns()

    server.refuse(true, 'history')
    server.become('broken')
    await waitForText(page, 'Failed to fetch')
    expect(await turns()).toBe(before)
    expect(await page.$eval('.main', (main) => main.textContent)).not.toContain('is being read')

    server.refuse(false, 'history')
    server.become('busy')
    await page.waitForFunction(`!document.body.innerText.includes('Failed to fetch')`)
    expect(await turns()).toBe(before)
  })

  test('asks for turns once more on a button, if there are none for a network error', async () => {
    const { server, page } = await opened('busy')
    server.refuse(true, 'history')
    await showView(page, 'entity/order/17')
    await waitForText(page, 'Failed to fetch')

    server.refuse(false, 'history')
    await page.locator('button ::-p-text(Ask again)').click()
    await page.waitForSelector('.turns li')
  })

  test('asks for a list once more on a button, and goes on with it', async () => {
    const { server, page } = await opened('busy')
    server.refuse(true, 'runs')
    await showView(page, 'runs/payment')
    await waitForText(page, 'Failed to fetch')

    server.refuse(false, 'runs')
    await page.locator('button ::-p-text(Ask again)').click()
    await page.waitForSelector('.scroll tbody tr:not(.room)')
    expect(await page.$('.banner')).toBe(null)
  })

  test('keeps its place and the focus in a list of dead jobs when one more dies', async () => {
    const { server, page } = await opened('broken')
    server.become('broken', 8 * hours)
    await showView(page, 'queue/mail')
    /** The height of all rows, in and out of the document. */
    const rowsAre = (count: number) =>
      page.waitForFunction(`document.querySelector('.scroll tbody')?.clientHeight >= ${count} * 28`)
    await rowsAre(511)
    await page.evaluate('scrollTo(0, 450 * 28)')
    const address = `#/job/mail/${8_120 + 450 * 7}`
    await page.waitForSelector(`a[href="${address}"]`)
    await page.focus(`a[href="${address}"]`)
    const scrolled = await page.evaluate('scrollY')

    server.become('broken', hours / 60)
    await waitForText(page, '512')
    await rowsAre(512)
    expect(await page.evaluate(`document.activeElement.getAttribute('href')`)).toBe(address)
    expect(await page.evaluate('scrollY')).toBe(scrolled)
  })

  test('draws the times of a chart apart, with two points as with many', async () => {
    for (const scenario of ['empty', 'busy'] as const) {
      const { page } = await opened(scenario, keptTexts)
      await page.waitForFunction('drawn.some(({ text }) => /^\\d\\d:\\d\\d/.test(text))')
      const drawn = (await page.evaluate('drawn')) as {
        readonly text: string
        readonly x: number
        readonly width: number
      }[]
      const times = drawn.filter(({ text }) => /^\d\d:\d\d/.test(text))
      // A label that is drawn once more has the place that it had.
      const places = [...new Map(times.map((each) => [each.text, each])).values()]
      const sorted = places.sort((left, right) => left.x - right.x)
      expect(sorted.length, scenario).toBeGreaterThan(1)
      for (const [at, { x, width }] of sorted.slice(1).entries())
        expect(x - (sorted[at]?.x ?? 0), scenario).toBeGreaterThan(width)
    }
  })
})
