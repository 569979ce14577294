/**
 * The scripts that DBOS and Keelson both play. DBOS's outcomes were recorded by `npm run bench -- flow-scripts`; Keelson plays here,
 * in two lives of a process, and must come to the same ones but for the differences that `docs/flow-coming.md` lists.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

type Outcome = { readonly title: string; readonly status: string }
type Script = { readonly title: string; readonly differs?: { readonly why: string } }

/** A module of the benches, which have no types. */
const bench = (name: string) => import(join(import.meta.dirname, '../../bench/flow-scripts', name))
const { scripts } = (await bench('scripts.mjs')) as { scripts: readonly Script[] }
const { expectedOf, playScripts } = (await bench('play.mjs')) as {
  expectedOf: (script: Script, outcome: Outcome | undefined) => Outcome
  playScripts: (engine: string, place: string, folder: string) => Promise<readonly Outcome[]>
}

const textOf = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8')
const recorded = (JSON.parse(textOf('dbos-outcomes.json')) as { results: { outcomes: Outcome[] } })
  .results.outcomes

const folder = mkdtempSync(join(tmpdir(), 'keelson-scripts-'))
afterAll(() => rmSync(folder, { recursive: true }))
let outcomes: readonly Outcome[] = []
beforeAll(async () => {
  outcomes = await playScripts('keelson', join(folder, 'data'), folder)
})

test('the recorded outcomes of DBOS are those of these scripts', () => {
  expect(recorded.map(({ title }) => title)).toEqual(scripts.map(({ title }) => title))
})

test.each(scripts.map((script, at) => [script.title, script, at] as const))(
  'beside DBOS: %s',
  (_, script, at) => {
    const other = recorded[at]

    expect(outcomes[at]).toEqual(expectedOf(script, other))
    if (script.differs) expect(outcomes[at]).not.toEqual(other)
  },
)

test.each(scripts.flatMap(({ differs }) => (differs ? [[differs.why] as const] : [])))(
  'the docs list: %s',
  (why) => {
    expect(textOf('../../docs/flow-coming.md').replaceAll(/\s+/g, ' ')).toContain(why)
  },
)
