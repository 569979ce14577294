/** `keelson rehearse` on real folders: where its data are, what it prints and what it leaves (needs the build). */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { call, start } from 'keelson'
import { rehearse } from 'keelson/operations'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import {
  configOf,
  counting,
  folderOfRuns,
  original,
  rehearsed,
  renamed,
  written,
} from '../../support/commands/rehearsed-folder.ts'

const command = resolve('dist/inspect/cli/cli.js')
const folder = folderOfRuns()

test('a build that stops runs has status 4 and names them, and no copy is left', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(renamed))

  const { status, output, errors } = await rehearsed(dir)

  expect(status, errors).toBe(4)
  expect(output).toContain('judged 3 runs and 0 other actors')
  expect(output).toMatch(
    /blocks {2}workflow order: DIVERGED {2}\(3\)\n {2}a: the body waits for book/,
  )
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('the build that wrote the data finds nothing, and neither does one beside itself', {
  tags: ['RE3'],
}, async () => {
  const dir = written(folder(), configOf(original))
  const same = await rehearsed(dir)
  const otherwise = written(folder(), configOf(renamed))
  const besideItself = await rehearsed(otherwise, '--against', 'new.mjs')

  expect([same.status, same.output]).toEqual([
    0,
    'judged 3 runs and 0 other actors\nnothing was found\n',
  ])
  expect([besideItself.status, besideItself.output]).toEqual([same.status, same.output])
})

test('of data without runs and actors the report says that nothing is known', async () => {
  const dir = written(folder(), configOf(original))
  const app = await start({ dir: join(dir, 'empty') })
  await app.store.put('a', 1)
  await app.close()

  const { status, output } = await commandHere(['rehearse', 'empty', '--with', 'new.mjs'], dir)

  expect([status, output]).toEqual([
    0,
    'judged 0 runs and 0 other actors: the data have none as of that moment, so nothing is known about the build\n',
  ])
})

test('a backup is only read, and equal data have an equal report', {
  tags: ['RE2', 'RE5'],
}, async () => {
  const dir = written(folder(), configOf(renamed))
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  const filesOf = () =>
    readdirSync(join(dir, 'backup'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [
        name,
        readFileSync(join(parentPath, name)).toString('base64'),
      ])
      .sort()
  const before = filesOf()
  const words = ['rehearse', 'backup', '--with', 'new.mjs', '--json']

  const [first, second] = [await commandHere(words, dir), await commandHere(words, dir)]

  expect(first.status).toBe(4)
  expect(second.output).toBe(first.output)
  expect(filesOf()).toEqual(before)
})

test('the copy of a rehearsal that was killed goes with the next one', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(original))
  // No process has this number.
  mkdirSync(join(dir, 'data.rehearsal-4194305-0123456789ab', 'data'), { recursive: true })

  await rehearsed(dir)

  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('a running instance makes the backup for its rehearsal, and goes on', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(renamed))
  const { default: config } = await import(join(dir, 'old.mjs'))
  const app = await start({ ...config, dir: join(dir, 'data'), attach: true })

  const { status, output } = await rehearsed(dir)
  await app.store.put('after', 1)
  const after = app.store.get('after')
  await app.close()

  expect([status, after]).toEqual([4, 1])
  expect(output).toContain('blocks  workflow order: DIVERGED  (3)')
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('saved cases are judged without their data, and find the same; a later save replaces them', async () => {
  const dir = written(folder(), configOf(renamed))
  const saves = await rehearsed(dir, '--save', 'test/cases')
  expect(saves.status).toBe(4)
  expect(saves.errors).toMatch(/^saved 3 cases in \/.*\/test\/cases$/m)
  rmSync(join(dir, 'data'), { recursive: true })
  const judged = (...words: string[]) =>
    commandHere(['rehearse', 'test/cases', '--with', 'new.mjs', ...words], dir)

  const ofCases = await judged()
  const before = readFileSync(join(dir, 'test/cases/cases.json'), 'utf8')
  await judged('--save', 'test/cases')

  expect([ofCases.status, ofCases.output]).toEqual([saves.status, saves.output])
  expect(readFileSync(join(dir, 'test/cases/cases.json'), 'utf8')).toBe(before)
  expect((await judged('--against', 'new.mjs')).status).toBe(0)
  const { findings } = await rehearse({
    from: join(dir, 'test/cases'),
    config: join(dir, 'new.mjs'),
    save: join(dir, 'again'),
  })
  expect(findings.map(({ what, count }) => [what, count])).toEqual([['DIVERGED', 3]])
  expect(readFileSync(join(dir, 'again/cases.json'), 'utf8')).toBe(before)
  expect(readdirSync(dir).sort()).toEqual(['again', 'new.mjs', 'old.mjs', 'test'])
})

test('cases are not saved into a data folder or a backup, and have no earlier state', async () => {
  const dir = written(folder(), configOf(original))
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  await rehearsed(dir, '--save', 'cases')

  for (const words of [
    ['rehearse', 'data', '--with', 'new.mjs', '--save', 'data'],
    ['rehearse', 'backup', '--with', 'new.mjs', '--save', 'backup'],
    ['rehearse', 'cases', '--with', 'new.mjs', '--at', '5'],
  ]) {
    const { status, errors } = await commandHere(words, dir)
    expect([status, errors]).toEqual([1, expect.stringMatching(/^INVALID_ARGUMENT: (save|at): /)])
  }
  expect(readdirSync(join(dir, 'backup'))).not.toContain('cases.json')
})

test('rehearsal() at the prompt has the report of the command, and the instance goes on', async () => {
  const dir = written(folder(), configOf(renamed))
  const lines = [
    "rehearsal('new.mjs')",
    "rehearsal('new.mjs', { against: 'new.mjs' })",
    "rehearsal('none.mjs')",
    'rehearsal()',
    "store.put('after', 1).then(() => store.get('after'))",
  ]

  const { status, stdout } = spawnSync(process.execPath, [command, 'start', 'old.mjs'], {
    cwd: dir,
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  })

  expect(stdout).toContain('blocks  workflow order: DIVERGED  (3)\n  a: the body waits for book')
  expect(stdout).toContain('judged 3 runs and 0 other actors\nnothing was found\n')
  expect(stdout).toMatch(/FAILED: .*none\.mjs/)
  expect(stdout).toContain('INVALID_ARGUMENT: config')
  expect([status, stdout.trimEnd().split('\n').at(-1)]).toEqual([0, '1'])
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('--fail-on says which findings fail', async () => {
  const dir = written(
    folder(),
    configOf("await ctx.step('reserve', () => 1); await ctx.waitFor('confirmed')"),
  )

  const [acts, blocks] = [await rehearsed(dir), await rehearsed(dir, '--fail-on', 'blocks')]

  expect([acts.status, blocks.status]).toEqual([4, 0])
  expect(blocks.output).toContain('acts  workflow order: would wait otherwise  (3)')
})

test('a build that does not load fails with its reason, and leaves nothing', async () => {
  const dir = written(folder(), 'export default 1 +')

  const { status, errors } = await rehearsed(dir)

  expect(status).toBe(1)
  expect(errors).toMatch(/^CONFIG: .*new\.mjs cannot be loaded/)
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('recorded turns are in a backup, a dump and a salvaged log, and run again from each', async () => {
  const dir = folder()
  rmSync(join(dir, 'data'), { recursive: true })
  writeFileSync(join(dir, 'old.mjs'), counting('by'))
  writeFileSync(join(dir, 'new.mjs'), counting('2 * by'))
  const { default: config, counter } = await import(`${join(dir, 'old.mjs')}?counting`)
  const app = await start({ ...config, dir: join(dir, 'data') })
  for (const by of [1, 2, 3])
    await call(app.entity(counter).ref('a') as never, 'add' as never, by as never)
  await app.close()
  const rehearses = async (of: string) => {
    const { status, output, errors } = await commandHere(['rehearse', of, '--with', 'new.mjs'], dir)
    expect(status, errors).toBe(4)
    expect(output).toContain('judged 0 runs and 1 other actor, 3 recorded turns')
    expect(output).toMatch(
      /acts {2}entity counter: a recorded turn differs {2}\(3\)\n {2}a: call add 1 of lsn \d+: its state/,
    )
  }

  await rehearses('data')
  const same = await commandHere(['rehearse', 'data', '--with', 'old.mjs'], dir)
  expect([same.status, same.output]).toEqual([
    0,
    'judged 0 runs and 1 other actor, 3 recorded turns\nnothing was found\n',
  ])
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  await rehearses('backup')
  expect((await commandHere(['doctor', 'data', '--deep'], dir)).status).toBe(0)
  const hidden = await commandHere(['wal', 'dump', 'data', '--json'], dir)
  const dumped = await commandHere(['wal', 'dump', 'data', '--json', '--reveal'], dir)
  expect(hidden.output).toContain('"recorded":{"tag":"structured","value":"[hidden object of')
  expect(dumped.output).toContain(
    '"recorded":{"tag":"structured","value":{"section":"calls","name":"add"',
  )
  await commandHere(['wal', 'salvage', 'data', '--to', 'salvaged'], dir)
  await rehearses('salvaged')
})
