// Adds under windows, and changes of a limit, until it is killed. Whatever a caller or a handler sees goes
// to pipe 3, as calls of the ledger of `flow-windows-kill.long.test.ts`. Arguments: the folder, `new` or
// `last`, and the number of the first add.
import { writeSync } from 'node:fs'
import { start, supervisor } from 'keelson'
import { flow, flows, queue } from 'keelson/flow'

const [dir, mode, firstText, windowsText] = process.argv.slice(2)
const windows = JSON.parse(windowsText)
const say = (what, ...given) => writeSync(3, `${JSON.stringify([what, ...given])}\n`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const pick = (from) => from[Math.floor(Math.random() * from.length)]
const colors = ['red', 'green', 'blue']

const pages = queue(
  'pages',
  async (number, { key }) => {
    const id = key.split('/').at(-1)
    say('begins', id, number, Date.now())
    await pause(pick([0, 5, 60]))
    say('ends', id)
    return number
  },
  { concurrency: 3, keep: { results: '9999d' } },
)
const app = await start({ dir, app: supervisor('app', {}, [flows({ queues: [pages] })]) })
let next = Number(firstText)

/** The adds of one window, each after the one before. */
const adds = async (window) => {
  for (;;) {
    const add = { number: next++, window, color: pick(colors), askedAt: Date.now() }
    say('asks', add)
    const options = { ...windows[window], attributes: { color: add.color } }
    const { id, repeated, replaced = false } = await flow(app).add(pages, add.number, options)
    say('answered', add.number, id, repeated, replaced)
    await pause(pick([0, 10, 50, 150, 400]))
  }
}

const limits = async () => {
  for (;;) {
    const concurrency = pick([1, 2, 5, null])
    say('limits', concurrency)
    if (concurrency === null) await flow(app).resetLimits(pages)
    else await flow(app).setLimits(pages, { concurrency })
    say('limited', concurrency)
    await pause(pick([5, 100, 300]))
  }
}

say('limitShown', (await flow(app).limits(pages)).concurrency)
if (mode === 'new') await Promise.all([...Object.keys(windows).map(adds), limits()])

for (;;) {
  const { ready, delayed, running } = await flow(app).counts(pages)
  if (ready + delayed + running === 0) break
  await pause(50)
}
const all = flow(app).jobs(pages, { state: 'done', limit: 1_000 })
if (!all.exhausted) throw new Error('there are more than 1,000 jobs')
const listed = {}
for (const color of colors) {
  listed[color] = []
  for (let page = { cursor: undefined }; ; ) {
    const { cursor } = page
    page = flow(app).jobs(pages, { where: { color }, limit: 500, ...(cursor && { cursor }) })
    listed[color].push(...page.entries.map(({ id }) => id))
    if (page.exhausted) break
  }
}
const looks = all.entries.map(({ id, state, result }) => [id, { state, result }])
say('last', looks, listed)
await app.close()
