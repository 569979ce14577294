#!/usr/bin/env node
/**
 * `npm run mutants -- ROOM [--seed N] [--count N] [--only TEXT]`: breaks a room of `src` in many places, one at a time, and
 * says which of them no test notices. About `count` mutants (100) are drawn by `seed` (1); `--only` keeps those whose file
 * or code has the text. `equivalent.json` lists mutants that change no behaviour, each with its reason.
 *
 * Strings are left alone: tests assert codes and not messages, and a wrong code does not compile.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { Instrumenter } from '@stryker-mutator/instrumenter'
import { rooms } from './rooms.mjs'

const excludedMutations = ['StringLiteral']
const equivalents = JSON.parse(readFileSync(new URL('equivalent.json', import.meta.url), 'utf8'))

const filesOf = (room) =>
  readdirSync(join('src', room))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', room, name))

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
const random = (seed) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Every mutant of the files, by Stryker's own mutators. Lines count from 1, columns from 0. */
const mutantsOf = async (files) => {
  const logger = { isDebugEnabled: () => false, debug: () => {}, info: () => {} }
  const sources = files.map((name) => ({ name, content: readFileSync(name, 'utf8'), mutate: true }))
  const options = { plugins: null, excludedMutations, ignorers: [] }
  const { mutants } = await new Instrumenter(logger).instrument(sources, options)
  return mutants
}

const isWithin = (inner, outer) =>
  inner.fileName === outer.fileName &&
  compare(inner.location.start, outer.location.start) >= 0 &&
  compare(inner.location.end, outer.location.end) <= 0
const compare = (one, other) => one.line - other.line || one.column - other.column

/** Places drawn by seed until they hold `count` mutants: Stryker is told places, and makes all mutants of each. */
const drawn = (all, count, seed) => {
  const next = random(seed)
  const left = [...all]
  const places = []
  const held = new Set()
  while (held.size < count && left.length > 0) {
    const [place] = left.splice(Math.floor(next() * left.length), 1)
    const holds = all.filter((mutant) => isWithin(mutant, place))
    // A whole function as a place would draw nothing but its inside.
    if (held.has(place) || holds.length > 5) continue
    places.push(place)
    for (const mutant of holds) held.add(mutant)
  }
  return places
}

const rangeOf = ({ fileName, location: { start, end } }) =>
  `${fileName}:${start.line + 1}:${start.column}-${end.line + 1}:${end.column}`

const textAt = (file, { start, end }) => {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .slice(start.line - 1, end.line)
  const last = lines.length - 1
  lines[last] = lines[last].slice(0, end.column - 1)
  lines[0] = lines[0].slice(start.column - 1)
  return lines.join(' ').replace(/\s+/g, ' ')
}

const run = async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '100' },
      only: { type: 'string', default: '' },
    },
  })
  const [room] = positionals
  if (!(room in rooms)) throw new Error(`which room? ${Object.keys(rooms).join(', ')}`)
  const all = (await mutantsOf(filesOf(room))).filter(
    ({ fileName, location }) =>
      fileName.includes(values.only) || textAt(fileName, oneBased(location)).includes(values.only),
  )
  const places = drawn(all, Number(values.count), Number(values.seed))
  process.env.MUTANTS_TESTS = [`test/${room}`, ...rooms[room]].join(',')
  const results = await new Stryker({
    mutate: places.map(rangeOf),
    mutator: { excludedMutations },
    plugins: ['@stryker-mutator/vitest-runner'],
    testRunner: 'vitest',
    vitest: { configFile: 'scripts/mutants/vitest.config.ts', related: false },
    coverageAnalysis: 'perTest',
    ignorePatterns: ['.tmp', 'keelson-data', 'dist'],
    // Stryker would rewrite it with an API that TypeScript 7 has no more; nothing in it needs that.
    tsconfigFile: 'none.json',
    tempDirName: '.tmp/stryker',
    reporters: [process.stdout.isTTY ? 'progress' : 'progress-append-only'],
    concurrency: 2,
    timeoutMS: 20_000,
    dryRunTimeoutMinutes: 30,
    allowConsoleColors: false,
    logLevel: 'warn',
  }).runMutationTest()
  report(room, values.seed, all.length, results)
}

const oneBased = ({ start, end }) => ({
  start: { line: start.line + 1, column: start.column + 1 },
  end: { line: end.line + 1, column: end.column + 1 },
})

const kinds = { Killed: 'killed', Timeout: 'killed', Survived: 'survived', NoCoverage: 'uncovered' }

const report = (room, seed, inAll, results) => {
  const counts = { killed: 0, survived: 0, uncovered: 0, equivalent: 0, invalid: 0 }
  for (const { fileName, location, replacement, status } of results) {
    const file = fileName.slice(fileName.indexOf('src/'))
    const from = textAt(file, location)
    const to = (replacement ?? '').replace(/\s+/g, ' ')
    const isNoticed = status === 'Killed' || status === 'Timeout'
    const isListed = equivalents.some(
      (each) => each.file === file && each.from === from && each.to === to,
    )
    const kind = isListed && !isNoticed ? 'equivalent' : (kinds[status] ?? 'invalid')
    counts[kind]++
    if (kind !== 'killed') console.log(`${kind} ${file}:${location.start.line}: ${from} → ${to}`)
  }
  const { killed, survived, uncovered, equivalent, invalid } = counts
  const score = Math.round((1000 * killed) / (killed + survived + uncovered)) / 10
  console.log(
    `${room} (seed ${seed}): ${results.length} of ${inAll} mutants: ${killed} killed, ${survived} survived, ` +
      `${uncovered} uncovered, ${equivalent} equivalent, ${invalid} invalid: ${score} %`,
  )
}

await run()
