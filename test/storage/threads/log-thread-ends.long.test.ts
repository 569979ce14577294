/** The end of a thread that several logs share, in an instance. The built package. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'

const watching = pathToFileURL(
  join(import.meta.dirname, '../../support/programs/watched-threads.mjs'),
).href

/** Runs a program that knows its threads, and answers what it says. */
const runWatched = (program: string, args: readonly string[]): unknown => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [`--import=${watching}`, '--input-type=module', '-e', program, ...args],
    { encoding: 'utf8', timeout: 50_000, killSignal: 'SIGKILL' },
  )
  expect(status, stderr).toBe(0)
  return JSON.parse(stdout)
}

/** Twenty shards. Each acknowledged letter of 60 keys is counted, and each refusal is noted. */
const preamble = `
  import { availableParallelism } from 'node:os'
  import { createSystem, start } from 'keelson'
  const logger = { error() {}, warn() {}, info() {} }
  const open = () => start({ dir: process.argv[1], shards: 20, system: createSystem({ logger }) })
  const acknowledged = new Map()
  let codes = new Set()
  const write = (app) => async (_, at) => {
    const key = 'k' + at
    try {
      await app.store.append(key, 'x')
      acknowledged.set(key, (acknowledged.get(key) ?? 0) + 1)
    } catch (error) {
      codes.add(error.code)
    }
  }
  const round = (app) => Promise.all(Array.from({ length: 60 }, write(app)))
  const lostIn = (app) =>
    [...acknowledged].filter(([key, letters]) => app.store.get(key).length < letters)
`

test('an instance shares few threads among its logs, and a thread that dies costs no acknowledgement', () => {
  const program = `${preamble}
    const app = await open()
    await round(app)
    const most = Math.min(Math.max(4, availableParallelism()), 8)
    const begun = [begunLogThreads.length - most]
    const refused = new Set()
    for (let death = 0; death < 3; death++) {
      const writing = [round(app), round(app)]
      await begunLogThreads.at(-1).terminate()
      await Promise.all(writing)
      for (const code of codes) refused.add(code)
      // A write is repeated until the shards of that thread are up again.
      do {
        codes = new Set()
        await round(app)
      } while (codes.size > 0)
    }
    begun.push(begunLogThreads.length - most)
    const lost = lostIn(app)
    await app.close()
    const again = await open()
    lost.push(...lostIn(again))
    await again.close()
    console.log(JSON.stringify({ begun, lost, refused: [...refused] }))
  `
  const seen = runWatched(program, [tempFolder()]) as { readonly refused: readonly string[] }
  expect(seen).toMatchObject({ begun: [0, 3], lost: [] })
  for (const code of seen.refused)
    expect(['NOT_SUBMITTED', 'UNKNOWN_OUTCOME', 'SHARD_DOWN', 'SUSPENDED']).toContain(code)
})
