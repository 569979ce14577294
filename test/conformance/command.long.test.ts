/** `npm run conformance -- DIR…`, given folders that the project does not have. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'
import type { Operation, ProcessDefinition, Scenario, StepTrace } from './adapter/scenario.ts'
import { failureOf } from './judgement.ts'
import { scenarioFiles } from './scenario-files.ts'

const scenarioOf = (
  id: string,
  procs: Record<string, ProcessDefinition>,
  steps: readonly (readonly [Operation, StepTrace])[],
): Scenario => ({
  id,
  title: `about ${id}`,
  procs,
  steps: steps.map(([step]) => step),
  expected: steps.map(([, expected]) => expected),
})

const started: readonly [Operation, StepTrace] = [
  ['start', 'a', 'p'],
  { result: ['ok', { $pid: 'a' }], events: { a: [['init', null]] } },
]
const server = (on: Record<string, Operation[]>) => ({ p: { kind: 'server', on } as const })
const good = scenarioOf('good', server({}), [started])
const bad = scenarioOf('bad', server({}), [[['start', 'a', 'p'], { result: 'no' }]])

describe('a scenario that never ends is a failure that says where', () => {
  const ball: [Operation, StepTrace] = [['send', 'a', 'ball', 1], { result: 'ok' }]

  test.each<[string, Operation[]]>([
    ['messages without end', [['send', { $self: true }, 'ball', 1]]],
    ['timers without end', [['send_after', 0, { $self: true }, 'ball', 1, 't']]],
  ])('%s', async (_, actions) => {
    const scenario = scenarioOf('endless', server({ 'info ball': actions }), [started, ball])
    expect(await failureOf(scenario)).toEqual({
      fault: 'the step ["send","a","ball",1] never settles',
    })
  })

  test('a driver that is gone', async () => {
    const steps = [started, [['exit', 'driver', 'kill'], { result: 'ok' }], ball] as const
    expect(await failureOf(scenarioOf('gone', server({}), steps as never))).toEqual({
      fault: 'the step ["send","a","ball",1] never ends',
    })
  })
})

describe('what the format does not have is a failure, whatever a trace says of errors', () => {
  const anyError: StepTrace = { result: { $error: '*' } }

  test.each<[string, Scenario]>([
    ['there is no step fly', scenarioOf('s', {}, [[['fly'], anyError]])],
    ['there is no definition p', scenarioOf('s', {}, [[['start', 'a', 'p'], anyError]])],
    [
      'there is no kind of process bird',
      scenarioOf('s', { p: { kind: 'bird' } as never }, [[['start', 'a', 'p'], anyError]]),
    ],
    [
      'there is no registry operation fly',
      scenarioOf('s', {}, [[['reg', 'fly', 'registry'], anyError]]),
    ],
    [
      'there is no action fly',
      scenarioOf('s', server({ 'cast x': [['fly']] }), [
        started,
        [
          ['cast', 'a', 'x', 1],
          {
            result: 'ok',
            events: {
              a: [
                ['cast', 'x', 1],
                ['terminate', { $error: '*' }],
                ['ended', { $error: '*' }],
              ],
            },
          },
        ],
      ]),
    ],
  ])('%s', async (fault, scenario) => {
    expect(await failureOf(scenario)).toEqual({ fault })
  })
})

describe('a file that is none of scenarios is a fault with a name', () => {
  test.each<[string, string, RegExp]>([
    ['not JSON', '{"format":', /cannot be read/],
    ['a list', '[]', /no object/],
    ['another format', '{"format":2,"scenarios":[]}', /its format is 2/],
    ['no scenarios', '{"format":1}', /no list of scenarios/],
    ['a scenario that is none', '{"format":1,"scenarios":[1]}', /scenario 1 is no object/],
    [
      'too few traces',
      JSON.stringify({ format: 1, scenarios: [{ ...good, expected: [] }] }),
      /1 steps and 0 traces/,
    ],
  ])('%s', (_, content, fault) => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'x.json'), content)
    expect(scenarioFiles(folder)).toEqual([
      { path: join(folder, 'x.json'), fault: expect.stringMatching(fault) },
    ])
  })

  test('a folder that is not there, and one without any', () => {
    const folder = tempFolder()
    expect(scenarioFiles(join(folder, 'none'))[0]?.fault).toMatch(/ENOENT/)
    expect(scenarioFiles(folder)[0]?.fault).toMatch(/no \.json file/)
  })
})

test('the command plays every folder, tells what fails, counts, and exits 1', () => {
  const folder = tempFolder()
  mkdirSync(join(folder, 'deep', 'er'), { recursive: true })
  const write = (path: string, ...scenarios: Scenario[]) =>
    writeFileSync(join(folder, path), JSON.stringify({ format: 1, scenarios }))
  write('deep/er/one.json', good, bad, good)
  write('two.json', good)
  writeFileSync(join(folder, 'broken.json'), '{')

  const words = ['run', '--silent', 'conformance', '--', '--seed', '3', folder]
  const all = spawnSync('npm', words, { encoding: 'utf8' })
  // What the first one has compiled.
  const program = '.tmp/conformance/test/conformance/main.js'
  const fine = spawnSync('node', [program, join(folder, 'two.json')], { encoding: 'utf8' })

  expect(all.stdout).toMatch(/^FAIL .*broken\.json$/m)
  expect(all.stdout).toMatch(/^FAIL bad: about bad$/m)
  expect(all.stdout).toMatch(/\n3 passed, 2 failed\n$/)
  expect(`${all.stdout}${all.stderr}`).not.toMatch(/^\s+at /m)
  expect(all.status).toBe(1)
  expect([fine.stdout, fine.status]).toEqual(['1 passed, 0 failed\n', 0])
})

test('a folder is read through its links, once, and whatever an editor made of its files', () => {
  const folder = tempFolder()
  const outside = tempFolder()
  const { title: _, ...untitled } = good
  const content = JSON.stringify({ format: 1, scenarios: [untitled] })
  writeFileSync(join(outside, 'linked.json'), `\uFEFF${content}`)
  symlinkSync(outside, join(folder, 'elsewhere'))
  symlinkSync(folder, join(folder, 'round'))
  symlinkSync(folder, join(outside, 'back'))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'gone.json'))
  const files = scenarioFiles(folder)
  expect(files).toEqual([
    {
      path: join(folder, 'elsewhere', 'linked.json'),
      scenarios: [{ ...good, title: '' }],
    },
    { path: join(folder, 'gone.json'), fault: expect.stringContaining('cannot be read') },
  ])
})
