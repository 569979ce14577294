/** The page in a browser, with made-up answers. It waits for what the page shows, never for time. */
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { lacks } from '../../support/lacks.ts'
import { thorough } from '../../support/tier.ts'
import {
  openTab,
  showView,
  startChromium,
  waitForText,
  widths,
  withoutChromium,
} from './chromium.ts'
import { type Scenario, scenarios } from './made-up-overview.ts'
import { type PageServer, servePage } from './page-server.ts'

const addresses = [
  ...[
    'overview',
    'tree',
    'processes',
    'process/104?trace=on',
    'entities',
    'kind/order',
    'entity/order/17',
  ],
  ...['entity/order/17?at=9412-9226', 'flows', 'runs/order', 'run/order/o-17', 'queue/mail'],
  ...['job/mail/8120', 'schedules'],
  ...['store?key=session/3', 'storage', 'replication', 'log'],
]

describe.skipIf(lacks(withoutChromium))('in a browser, the page', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  const served = async (scenario: Scenario, isWriting = false): Promise<PageServer> => {
    const server = await servePage(scenario, isWriting)
    onTestFinished(server.close)
    return server
  }

  const opened = async (
    server: PageServer,
    how?: { readonly width?: number; readonly theme?: string },
  ): Promise<{ readonly page: Page; readonly console: readonly string[] }> => {
    const tab = await openTab(browser, server.url, how)
    onTestFinished(() => tab.page.close())
    await showView(tab.page, 'overview')
    return tab
  }

  for (const scenario of scenarios)
    for (const width of widths)
      for (const theme of ['light', 'dark'])
        test(`shows every view, ${scenario}, in ${width} pixels, ${theme}, without a line on the console`, async () => {
          const { page, console } = await opened(await served(scenario, true), { width, theme })

          for (const address of addresses) {
            await showView(page, address)
            expect(await page.evaluate('document.documentElement.scrollWidth'), address).toBe(width)
          }

          expect(console).toEqual([])
        })

  test('shows text of users as text, and code in it never runs', async () => {
    const { page } = await opened(await served('busy'))

    await showView(page, 'entity/order/17')
    await waitForText(page, '<img src=x onerror=alert(1)>')

    expect(await page.$$('.main img')).toEqual([])
  })

  test('takes its one-time code out of the address, and survives a reload with its token', async () => {
    const { page } = await opened(await served('busy'))

    await showView(page, 'tree')
    await page.reload()
    await showView(page, 'tree')

    expect(page.url()).toMatch(/#\/tree$/)
  })

  test('has one stream a tab, none while it is paused or hidden, and one again after', async () => {
    const server = await served('busy')
    const { page } = await opened(server)
    for (const address of addresses) await showView(page, address)
    const state = (word: string) => page.waitForSelector(`.main[data-state="${word}"]`)
    await server.untilStreams(1)

    await page.keyboard.press('p')
    await state('paused')
    await server.untilStreams(0)

    await page.keyboard.press('p')
    await state('live')
    await server.untilStreams(1)

    // A tab of a browser without windows is never hidden by another one.
    const hide = (isHidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await hide(true)
    await state('paused')
    await server.untilStreams(0)

    await hide(false)
    await state('live')
    await server.untilStreams(1)
  })

  test('says that it reconnects when its stream breaks, and shows what is new after', async () => {
    const server = await served('busy')
    const { page } = await opened(server)
    await waitForText(page, 'Nothing is in trouble.')

    server.refuse(true)
    await page.waitForSelector('.main[data-state="lost"] .banner')
    expect(await page.$eval('.main', (main) => main.textContent)).toContain(
      'Nothing is in trouble.',
    )

    server.refuse(false)
    server.become('broken')
    await page.waitForSelector('.main[data-state="live"]')
    await waitForText(page, 'failed 37 times in the last minute')
  })

  test('follows the instance: a change is shown with the next frame', async () => {
    const server = await served('busy')
    const { page } = await opened(server)
    await waitForText(page, 'Nothing is in trouble.')
    await waitForText(page, '4.2 s left of 5 s')

    server.become('broken')
    await waitForText(page, 'failed 37 times in the last minute')
    await waitForText(page, '0 ms left of 5 s')
    await waitForText(page, 'unsure')
  })

  test('shows the members, and looks and acts at the one that is chosen, also after a reload', async () => {
    const server = await served('broken', true)
    const { page } = await opened(server)
    await waitForText(page, 'NO_PROCESS: no link to the member')
    expect(server.looksAt()).toEqual([null])

    await page.locator('.main button ::-p-text(orders-2)').click()
    await page.waitForFunction(`document.querySelector('.head select').value === 'orders-2'`)
    await page.waitForSelector('.main[data-state="live"]')
    await server.untilStreams(1, 'orders-2')

    await page.reload()
    await showView(page, 'process/104')
    await page.locator('button ::-p-text(Kill)').click()
    await waitForText(page, 'is the effect of kill')
    expect(server.plans).toEqual([{ act: 'kill', pid: 104, member: 'orders-2' }])

    await page.keyboard.press('Escape')
    await page.select('.head select', 'orders-3')
    await page.waitForSelector('.main[data-state="live"]')
    await server.untilStreams(1, 'orders-3')
  })

  test('shows troubles with one cause as one line, and leads from an event to its entity', async () => {
    const { page } = await opened(await served('broken'))

    await waitForText(page, 'order/o-71, order/o-72, order/o-73 and 9 more')
    await page.locator('.log a ::-p-text(order/4812)').click()

    await page.waitForSelector('.main[data-view="entity"]')
    expect(page.url()).toMatch(/#\/entity\/order\/4812$/)
  })

  test('scrolls through a list of 100,000 entities, of which the document has a few', async () => {
    const { page } = await opened(await served('busy'))
    await showView(page, 'kind/order')
    for (const id of [1, 2_000, thorough(10_000, 100_000)]) {
      await page.waitForFunction(
        `(() => {
          const box = document.querySelector('.scroll')
          if (document.querySelector('a[href="#/entity/order/${id}"]')) return true
          scrollTo(0, box.offsetTop + Math.min(box.scrollHeight, ${id - 5} * 28))
          return false
        })()`,
        { polling: 'raf', timeout: 500_000 },
      )
      expect(await page.$eval('tbody', (body) => body.children.length)).toBeLessThan(200)
    }
  })

  test('has no list that scrolls by itself: the page shows the tree to its end', async () => {
    const { page } = await opened(await served('busy'), { width: 1440 })
    await showView(page, 'tree')

    const box = `document.querySelector('.scroll')`
    expect(await page.evaluate(`${box}.scrollHeight - ${box}.clientHeight`)).toBe(0)
    await page.evaluate('scrollTo(0, document.body.scrollHeight)')
    const head = (await page.evaluate(
      `document.querySelector('.scroll th').getBoundingClientRect().top`,
    )) as number
    expect(head).toBeGreaterThanOrEqual(40)
    expect(await page.$$eval('th', (cells) => cells.every((cell) => cell.scope === 'col'))).toBe(
      true,
    )
  })

  test('shows the whole menu in 400 pixels', async () => {
    const { page } = await opened(await served('busy'), { width: 400 })

    const rights = (await page.$$eval('.nav a', (links) =>
      links.map((link) => link.getBoundingClientRect().right),
    )) as number[]
    expect(rights.length).toBe(9)
    expect(Math.max(...rights)).toBeLessThanOrEqual(400)
  })

  test('shows the last values of a chart without a pointer on it', async () => {
    const { page } = await opened(await served('busy'))

    await page.waitForSelector('.u-legend')
    const legends = await page.$$eval('.u-legend', (found) =>
      found.map((legend) => legend.textContent ?? ''),
    )
    expect(legends.length).toBeGreaterThan(0)
    for (const legend of legends) expect(legend).toMatch(/^at:?\s*\d\d:\d\d:\d\d.*\d/)
  })

  test('goes on to the next page of the processes, and back to the first', async () => {
    const { page } = await opened(await served('busy'))
    await showView(page, 'processes')
    for (const expected of ['0_200', '0_400']) {
      await page.locator('a.button ::-p-text(Next page)').click()
      await page.waitForFunction(`location.hash.includes('after=${expected}')`)
      await waitForText(page, 'First page')
    }
    await page.waitForFunction(`!document.body.innerText.includes('Next page')`)

    await page.locator('a.button ::-p-text(First page)').click()

    await waitForText(page, 'the first 200 of')
    expect(page.url()).not.toContain('after')
  })

  test('shows the input of a run, the values of its steps, and what it waits for', async () => {
    const { page } = await opened(await served('busy'))

    await showView(page, 'run/order/asks')
    for (const text of ['signal approve, ', ', in ', "{ seat: '12A' }", 'tea'])
      await waitForText(page, text)
    await showView(page, 'run/order/held')
    for (const text of ['queue mail', '3 of 8,412', 'tea']) await waitForText(page, text)
  })

  test('shows a job by its id, with its values and its lines', async () => {
    const { page } = await opened(await served('busy'))

    await showView(page, 'queue/mail')
    await page.locator('input[aria-label="Id of a job"]').fill('8120')
    await page.keyboard.press('Enter')
    for (const text of ['running', 'is greeted', 'ada@example.org', 'mail/8120'])
      await waitForText(page, text)
    expect(page.url()).toMatch(/#\/job\/mail\/8120$/)
  })

  test('lists the jobs with an attribute in every state, and again in one', async () => {
    const { page } = await opened(await served('busy'))
    const states = `[...document.querySelectorAll('td')].filter((cell) => cell.innerText === 'dead').length`

    await showView(page, 'queue/mail')
    await page.locator('input[aria-label="Attributes"]').fill('customer=c-7')
    await page.keyboard.press('Enter')
    await waitForText(page, 'every state')
    await page.waitForFunction(`${states} > 20`)
    expect(page.url()).toMatch(/#\/queue\/mail\?where=customer%3Dc-7$/)

    await page.select('select[aria-label="State"]', 'delayed')
    await page.waitForFunction(`${states} === 0`)
    expect(page.url()).toMatch(/\?state=delayed&where=customer%3Dc-7$/)
  })

  test('goes to a run by its id, and on a phone says in the tree which part was restarted', async () => {
    const { page } = await opened(await served('broken'))

    await showView(page, 'runs/order')
    await page.locator('input[aria-label="Id of a run"]').fill('17')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.main[data-view="run"]')
    expect(page.url()).toMatch(/#\/run\/order\/17$/)

    await page.setViewport({ width: 390, height: 844 })
    await showView(page, 'tree')
    await page.waitForSelector('.tree .narrow .badge', { visible: true })
  })

  test('shows that less than one run a second fails', async () => {
    const { page } = await opened(await served('broken'))

    await showView(page, 'flows')
    await waitForText(page, '0.15/s')
  })

  test('shows schedules on the page of flows, and all of them page by page', async () => {
    const { page } = await opened(await served('busy'))

    await showView(page, 'flows')
    for (const text of ['daily', 'digest-ada', 'in 20 min', 'goes on', 'there are more'])
      await waitForText(page, text)
    await page.locator('a ::-p-text(there are more)').click()
    await page.locator('a.button ::-p-text(Next page)').click()
    await waitForText(page, 'First page')
    expect(page.url()).toContain('cursor=2')
  })

  test('shows the state at a turn that is chosen, and the difference of two', async () => {
    const { page } = await opened(await served('busy'))
    await showView(page, 'entity/order/17')
    const choose = async (cause: string) =>
      page.locator(`.turns button ::-p-text(${cause})`).click()

    await choose('call place')
    await waitForText(page, 'STATE AT LSN 9226')
    expect(await page.$eval('.machine .active', (state) => state.textContent)).toBe('placed')

    await choose('alarm retry')
    await waitForText(page, '− "placed"')
    await waitForText(page, '+ "paying"')
    expect(page.url()).toMatch(/#\/entity\/order\/17\?at=9226-9381$/)
    expect(await page.$eval('.machine .edge.last', (edge) => edge.textContent)).toBe('PAY')
  })

  test('offers no action in an instance that is only read', async () => {
    const { page } = await opened(await served('broken'))

    for (const address of addresses) {
      await showView(page, address)
      expect(await page.$$('button.danger, .acts button')).toEqual([])
    }
    await waitForText(page, 'READ-ONLY')
  })

  test('shows the effect of an action before, and takes its reason', async () => {
    const server = await served('broken', true)
    const { page } = await opened(server)
    await showView(page, 'process/104')

    await page.locator('button ::-p-text(Kill)').click()
    await waitForText(page, 'This is the effect of kill.')
    expect(server.acts).toEqual([])

    await page.locator('dialog input').fill('it hangs')
    await page.locator('dialog button.primary').click()
    await waitForText(page, 'Done.')
    expect(server.plans).toEqual([{ act: 'kill', pid: 104 }])
    expect(server.acts).toEqual([{ act: 'kill', pid: 104, reason: 'it hangs', nonce: 'n' }])
  })

  test('acts on steps, alarms, dead jobs and shards, and sends a signal with a value', async () => {
    const server = await served('broken', true)
    const { page } = await opened(server)
    const perform = async (address: string, button: string) => {
      await showView(page, address)
      await page.locator(`.main > :not(dialog) button ::-p-text(${button})`).click()
      await page.locator('dialog input').fill('a trial')
      await page.locator('dialog button.primary:not(:disabled)').click()
      await page.locator('dialog button ::-p-text(Close)').click()
      await page.waitForSelector('dialog', { hidden: true })
    }

    await perform('entity/order/17', 'Retry now')
    await perform('entity/order/17', 'Fire now')
    await perform('entity/order/17', 'Cancel')
    await perform('queue/mail', 'Retry job')
    await perform('job/mail/8120', 'Remove job')
    await perform('schedules', 'Run now')
    await perform('flows', 'Resume')
    await perform('storage', 'Resume')
    await showView(page, 'run/order/o-17')
    await page.locator('form input').fill('approve')
    await page.locator('form input.grow').fill('{ "by": "ann" }')
    await perform('run/order/o-17', 'Send')

    const done = { reason: 'a trial', nonce: 'n' }
    const of = { kind: 'order', id: '17', ...done }
    expect(server.acts).toEqual([
      { act: 'retryStep', name: 'charge', ...of },
      { act: 'fireAlarm', name: 'payWithin', ...of },
      { act: 'cancelAlarm', name: 'payWithin', ...of },
      { act: 'retryJob', queue: 'mail', id: '8120', ...done },
      { act: 'removeJob', queue: 'mail', id: '8120', ...done },
      { act: 'triggerSchedule', schedule: 'daily', ...done },
      { act: 'resumeSchedule', schedule: 'daily', ...done },
      { act: 'resumeShard', shard: 2, ...done },
      {
        act: 'signalRun',
        type: 'order',
        id: 'o-17',
        name: 'approve',
        value: { by: 'ann' },
        ...done,
      },
    ])
  })

  test('deletes a schedule only after its name is typed, and none of the tree', async () => {
    const server = await served('busy', true)
    const { page } = await opened(server)
    await showView(page, 'schedules')
    const buttons = await page.$$('button.danger')
    expect(buttons).toHaveLength(1)
    await buttons[0]?.click()
    await page.locator('dialog label input').fill('no customer')
    await page.locator('dialog label:nth-of-type(2) input').fill('daily')
    const isDisabled = () =>
      page.$eval('dialog button.primary', (button) => button.matches(':disabled'))
    expect(await isDisabled()).toBe(true)
    await page.locator('dialog label:nth-of-type(2) input').fill('digest-ada')
    await page.locator('dialog button.primary:not(:disabled)').click()
    await waitForText(page, 'Done.')
    const act = { act: 'deleteSchedule', schedule: 'digest-ada' }
    expect(server.acts).toEqual([{ ...act, reason: 'no customer', nonce: 'n' }])
  })

  test('deletes an entity only after its id is typed', async () => {
    const server = await served('busy', true)
    const { page } = await opened(server)
    await showView(page, 'entity/order/17')
    await page.locator('button.danger ::-p-text(Delete)').click()
    await waitForText(page, 'to delete it')
    const isDisabled = () =>
      page.$eval('dialog button.primary', (button) => button.matches(':disabled'))
    expect(await isDisabled()).toBe(true)

    await page.locator('dialog label input').fill('wrong order')
    await page.locator('dialog label:nth-of-type(2) input').fill('1')
    expect(await isDisabled()).toBe(true)
    await page.locator('dialog label:nth-of-type(2) input').fill('17')
    await page.locator('dialog button.primary').click()
    await waitForText(page, 'Done.')

    expect(server.acts).toEqual([
      { act: 'delete', kind: 'order', id: '17', reason: 'wrong order', nonce: 'n' },
    ])
  })

  test('is used without a mouse: digits choose views, and everything that acts has the focus in turn', async () => {
    const { page } = await opened(await served('broken', true))

    for (const [key, view] of [
      ['2', 'tree'],
      ['4', 'entities'],
      ['9', 'log'],
      ['1', 'overview'],
    ] as const) {
      await page.keyboard.press(key)
      await page.waitForSelector(`.main[data-view="${view}"]`)
    }
    await showView(page, 'process/104')
    const seen = new Set<string>()
    for (let at = 0; at < 40; at++) {
      await page.keyboard.press('Tab')
      seen.add((await page.evaluate('document.activeElement.textContent')) as string)
    }
    expect([...seen]).toEqual(expect.arrayContaining(['Pause', 'Tree2', 'Kill', 'Suspend']))
  })
})
