/**
 * The scripts that Keelson and its peers play: workflows beside DBOS, queues beside BullMQ. The outcomes of the peers were recorded
 * by `npm run bench -- flow-scripts` and `queue-scripts`; Keelson plays here, in some lives of a process, and must come to the same
 * ones but for the differences that the docs list.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

type Outcome = { readonly title: string }
type Script = { readonly title: string; readonly differs?: { readonly why: string } }
type Play = (engine: string, place: string, folder: string) => Promise<readonly Outcome[]>

const here = (path: string): string => join(import.meta.dirname, path)
const textOf = (path: string): string => readFileSync(here(path), 'utf8')

/** A module of the benches, which have no types. */
const bench = <T>(name: string): Promise<T> => import(here(`../../bench/${name}`))
const { expectedOf } = await bench<{
  expectedOf: (script: Script, outcome: Outcome | undefined) => Outcome
}>('harness/scripts.mjs')

const besides = [
  { peer: 'DBOS', played: 'flow-scripts', record: 'dbos-outcomes' },
  { peer: 'BullMQ', played: 'queue-scripts', record: 'bullmq-outcomes' },
]

const docs = textOf('../../docs/evidence/script-by-script.md').replaceAll(/\s+/g, ' ')

for (const { peer, played, record } of besides) {
  const { scripts } = await bench<{ scripts: readonly Script[] }>(`${played}/scripts.mjs`)
  const { playScripts } = await bench<{ playScripts: Play }>(`${played}/play.mjs`)
  const recorded = (
    JSON.parse(textOf(`${record}.json`)) as { results: { outcomes: readonly Outcome[] } }
  ).results.outcomes

  describe(`beside ${peer}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-scripts-'))
    afterAll(() => rmSync(folder, { recursive: true }))
    let outcomes: readonly Outcome[] = []
    beforeAll(async () => {
      outcomes = await playScripts('keelson', join(folder, 'data'), folder)
    })

    test('the recorded outcomes are those of these scripts', () => {
      expect(recorded.map(({ title }) => title)).toEqual(scripts.map(({ title }) => title))
    })

    test.each(scripts.map((script, at) => [script.title, script, at] as const))(
      '%s',
      (_, script, at) => {
        expect(outcomes[at]).toEqual(expectedOf(script, recorded[at]))
        if (script.differs) expect(outcomes[at]).not.toEqual(recorded[at])
      },
    )

    test.each(scripts.flatMap(({ differs }) => (differs ? [[differs.why] as const] : [])))(
      'the docs list: %s',
      (why) => {
        expect(docs).toContain(why)
      },
    )
  })
}
