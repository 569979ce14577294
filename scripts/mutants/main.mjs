#!/usr/bin/env node
/**
 * `npm run mutants -- ROOM [--seed N] [--count N] [--only TEXT] [--near] [--again] [--last] [--patience S]`:
 * breaks a room of `src` in many places, one at a time, and says which of them no test notices. About `count` mutants
 * (100) are drawn by `seed` (1); `--only` keeps those whose file or code has the text. `equivalent.json` lists mutants
 * that change no behaviour, each with its reason.
 *
 * `--near` takes the room's own tests only, which is quicker. `--again` runs those mutants of the last run that no test
 * noticed, or that only a time limit noticed: a busy machine can reach a time limit by itself, and `--patience` makes the
 * limits of a mutant and of a test longer (15 s). `--last` runs nothing, and reports the last run once more.
 *
 * Strings are left alone: tests assert codes and not messages, and a wrong code does not compile.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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
  return mutants.filter(({ ignoreReason }) => ignoreReason === undefined)
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
      near: { type: 'boolean', default: false },
      again: { type: 'boolean', default: false },
      last: { type: 'boolean', default: false },
      patience: { type: 'string', default: '15' },
    },
  })
  const [room] = positionals
  if (!(room in rooms)) throw new Error(`which room? ${Object.keys(rooms).join(', ')}`)
  const others = values.near ? [] : rooms[room]
  process.env.MUTANTS_TESTS = [`test/${room}`, ...others].join(',')
  process.env.MUTANTS_PATIENCE_MS = `${1_000 * Number(values.patience)}`
  const lastRun = join(lastRuns, `${room.replace('/', '-')}-${values.seed}.json`)
  const last = values.again || values.last ? JSON.parse(readFileSync(lastRun, 'utf8')) : undefined
  const all = (await mutantsOf(filesOf(room))).filter(
    ({ fileName, location }) =>
      fileName.includes(values.only) || textAt(fileName, oneBased(location)).includes(values.only),
  )
  const results = values.last
    ? last
    : last
      ? await again(last, all)
      : await resultsOf(drawn(all, Number(values.count), Number(values.seed)))
  mkdirSync(lastRuns, { recursive: true })
  writeFileSync(lastRun, JSON.stringify(results, null, 1))
  report(room, values.seed, all.length, results)
}

const lastRuns = '.tmp/mutants'
const isMeant = ({ status }) => status !== 'Ignored'

/** Runs the mutants of the last run that no test noticed. A mutant whose code is gone is left out. */
const again = async (last, all) => {
  const places = new Map(last.filter(isOpen).map((before) => [before, placeOf(before, all)]))
  const results = await resultsOf([...places.values()].filter(Boolean))
  return last.flatMap((before) => {
    if (!places.has(before)) return [before]
    const place = places.get(before)
    if (!place) return []
    const result = results.find((each) => isAt(each, place, before.to)) ?? before
    return [{ ...result, isConfirmed: before.isTimed && result.isTimed }]
  })
}

const resultsOf = async (places) =>
  places.length === 0 ? [] : (await stryker(places)).filter(isMeant).map(resultOf)

const stryker = (places) => {
  // A survivor takes all of them, in every simulation.
  process.env.KEELSON_SEEDS ??= '4'
  return new Stryker({
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
    concurrency: Number(process.env.MUTANTS_AT_ONCE ?? 2),
    timeoutMS: Number(process.env.MUTANTS_PATIENCE_MS),
    timeoutFactor: 1,
    dryRunTimeoutMinutes: 30,
    allowConsoleColors: false,
    logLevel: 'warn',
  }).runMutationTest()
}

const oneBased = ({ start, end }) => ({
  start: { line: start.line + 1, column: start.column + 1 },
  end: { line: end.line + 1, column: end.column + 1 },
})

/** `isTimed`: only a time limit noticed it, of Stryker or of a test. */
const resultOf = ({ fileName, location, replacement, status, statusReason = '' }) => {
  const file = fileName.slice(fileName.indexOf('src/'))
  return {
    file,
    line: location.start.line,
    code: lineAt(file, location.start.line),
    location,
    from: textAt(file, location),
    to: (replacement ?? '').replace(/\s+/g, ' '),
    status,
    isTimed: status === 'Timeout' || (status === 'Killed' && statusReason.includes('timed out')),
  }
}

const isAt = ({ file, location, to }, { fileName, location: place }, replacement) =>
  file === fileName &&
  to === replacement &&
  compare(location.start, oneBased(place).start) === 0 &&
  compare(location.end, oneBased(place).end) === 0

/** `of`, where a mutant's own text is too short to name it: text of its line. */
const isListed = ({ file, code, from, to }) =>
  equivalents.some(
    (each) =>
      each.file === file && each.from === from && each.to === to && code.includes(each.of ?? ''),
  )
const lineAt = (file, line) => readFileSync(file, 'utf8').split('\n')[line - 1] ?? ''
const isOpen = (result) =>
  (result.isTimed && !result.isConfirmed) ||
  ((kinds[result.status] ?? 'killed') !== 'killed' && !isListed(result))

/** Where the code of a mutant of the last run is now; `undefined` if it is gone. */
const placeOf = ({ file, line, from }, all) =>
  all
    .filter(
      ({ fileName, location }) => fileName === file && textAt(file, oneBased(location)) === from,
    )
    .map((mutant) => ({ mutant, distance: Math.abs(mutant.location.start.line + 1 - line) }))
    .sort((one, other) => one.distance - other.distance)[0]?.mutant

const kinds = { Killed: 'killed', Timeout: 'killed', Survived: 'survived', NoCoverage: 'uncovered' }

const report = (room, seed, inAll, results) => {
  const counts = { killed: 0, survived: 0, uncovered: 0, equivalent: 0, invalid: 0 }
  for (const result of results) {
    const { file, line, from, to, status, isTimed } = result
    const isNoticed = kinds[status] === 'killed'
    const kind = isListed(result) && !isNoticed ? 'equivalent' : (kinds[status] ?? 'invalid')
    counts[kind]++
    if (isTimed) console.log(`by time ${file}:${line}: ${from} → ${to}`)
    else if (kind !== 'killed') console.log(`${kind} ${file}:${line}: ${from} → ${to}`)
  }
  const { killed, survived, uncovered, equivalent, invalid } = counts
  const timed = results.filter(({ isTimed }) => isTimed).length
  const score = Math.round((1000 * killed) / (killed + survived + uncovered)) / 10
  console.log(
    `${room} (seed ${seed}): ${results.length} of ${inAll} mutants: ${killed} killed (${timed} by time), ` +
      `${survived} survived, ${uncovered} uncovered, ${equivalent} equivalent, ${invalid} invalid: ${score} %`,
  )
}

await run()
