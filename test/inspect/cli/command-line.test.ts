import { describe, expect, test } from 'vitest'
import { parseCommandLine, usage } from '../../../src/inspect/cli/command-line.ts'
import { codeOf } from '../../support/error-codes.ts'

const parse = (line: string) => parseCommandLine(line.split(' ').filter((word) => word !== ''))

describe('the command line', () => {
  for (const [line, expected] of [
    ['start', { kind: 'start', config: undefined, dir: undefined, verbose: false }],
    ['start --dir d', { kind: 'start', config: undefined, dir: 'd', verbose: false }],
    [
      'start --config=c.ts --verbose',
      { kind: 'start', config: 'c.ts', dir: undefined, verbose: true },
    ],
    ['start c.ts', { kind: 'start', config: 'c.ts', dir: undefined, verbose: false }],
    ['run', { kind: 'run', config: undefined, dir: undefined, verbose: false }],
    ['run c.ts --dir d', { kind: 'run', config: 'c.ts', dir: 'd', verbose: false }],
    ['run --config c.ts', { kind: 'run', config: 'c.ts', dir: undefined, verbose: false }],
    ['run --log text', { kind: 'run', config: undefined, dir: undefined, verbose: false }],
    [
      'run c.ts --log json',
      { kind: 'run', config: 'c.ts', dir: undefined, verbose: false, log: 'json' },
    ],
    [
      'run --members 4',
      { kind: 'run', config: undefined, dir: undefined, verbose: false, members: 4 },
    ],
    [
      'run --members cores',
      { kind: 'run', config: undefined, dir: undefined, verbose: false, members: 'cores' },
    ],
    [
      'attach --member b',
      { kind: 'attach', config: undefined, dir: undefined, verbose: false, member: 'b' },
    ],
    [
      'start --dir d --acts',
      { kind: 'start', config: undefined, dir: 'd', verbose: false, acts: true },
    ],
    [
      'run --no-app',
      { kind: 'run', config: undefined, dir: undefined, verbose: false, app: false },
    ],
    ['init', { kind: 'init', dir: '.', verbose: false }],
    [
      'init shop --ts --no-http',
      { kind: 'init', dir: 'shop', typescript: true, http: false, verbose: false },
    ],
    ['init --help', { kind: 'help', text: expect.stringContaining('[--ts | --js]') }],
    ['check c.ts', { kind: 'check', config: 'c.ts', dir: undefined, verbose: false }],
    ['', { kind: 'help' }],
    ['help', { kind: 'help' }],
    ['--help', { kind: 'help' }],
    ['check -h', { kind: 'help' }],
    ['--version', { kind: 'version' }],
    ['-v', { kind: 'version' }],
  ] as const)
    test(`is read: keelson ${line}`, () => {
      expect(parse(line)).toEqual(expected)
    })

  for (const line of [
    'stop',
    'start a.ts b.ts',
    'run a.ts --config b.ts',
    'run --nonsense',
    'run --log xml',
    'run --members 0',
    'run --members -1',
    'run --members all',
    'run --member b',
    'start --members 4',
    'attach --members 4',
    'start --log json',
    'check --log json',
    'check --acts',
    'init a b',
    'init --dir d',
    'init --ts --js',
    'start --nonsense',
    'start --dir',
    'start --dir=',
    'start --acts --no-app',
    'attach --acts',
    'attach --no-app',
    'start --config --dir d',
  ])
    test(`is refused: keelson ${line}`, () => {
      expect(codeOf(() => parse(line))).toBe('INVALID_ARGUMENT')
    })

  test('has every option in its help', () => {
    for (const option of [
      '--config',
      '--dir',
      '--log',
      '--acts',
      '--no-app',
      '--verbose',
      '--version',
    ])
      expect(usage).toContain(option)
  })
})

describe('keelson flow', () => {
  test.each([
    ['list', ['list', [undefined, { json: false }]]],
    ['list order --status failed --limit 5', ['list', ['order', { status: 'failed', limit: 5 }]]],
    [
      'list order --since 5 --until 1970-01-01T00:00:01Z',
      ['list', ['order', { since: 5, until: 1_000 }]],
    ],
    [
      'list order --where customer=c-7,status=failed',
      ['list', ['order', { where: { customer: 'c-7', status: 'failed' } }]],
    ],
    ['show mails --json', ['show', ['mails', undefined, { json: true }]]],
    ['cancel order 4 --force', ['cancel', ['order', '4', { force: true }]]],
    ['retry mails 7 --queue', ['retry', ['mails', '7', { queue: true }]]],
    ['retry order 42 --from charge', ['retry', ['order', '42', { from: 'charge' }]]],
    ['fork order 42 --from a --id 43', ['fork', ['order', '42', { from: 'a', id: '43' }]]],
    ['undo order 42', ['undo', ['order', '42', {}]]],
    [
      'signal order 4 go {"a":[1]} --id m',
      ['signal', ['order', '4', 'go', { a: [1] }, { id: 'm' }]],
    ],
    ['settle order 4 pay --value null', ['settle', ['order', '4', 'pay', { value: null }, {}]]],
    [
      'settle order 4 pay --error late',
      ['settle', ['order', '4', 'pay', { error: { message: 'late' } }, {}]],
    ],
    ['pause mails', ['pause', ['mails', {}]]],
  ] as const)('is read: %s', (line, [word, args]) => {
    expect(parse(`flow ${line} --dir d`)).toMatchObject({ kind: 'flow', dir: 'd', word, args })
  })

  test.each([
    ...['nothing', 'list a b', 'show', 'pause', 'pause a b', 'cancel order', 'signal order 4'],
    ...['signal order 4 go {a', 'settle order 4 pay', 'settle order 4 pay --value 1 --error x'],
    ...[
      'list order --limit 0',
      'list order --since soon',
      'list order --where customer',
      'dead mails --force',
    ],
  ])('is refused: %s', (line) => {
    expect(codeOf(() => parse(`flow ${line}`))).toBe('INVALID_ARGUMENT')
  })

  test('has help for each of its words', () => {
    expect(parse('flow signal --help')).toMatchObject({ text: expect.stringContaining('[JSON]') })
    expect(usage).toContain('keelson flow settle TYPE ID KEY')
  })
})

describe('keelson cluster', () => {
  test.each([
    ['status', { kind: 'cluster status', config: undefined, json: false }],
    ['status k.mjs --json', { kind: 'cluster status', config: 'k.mjs', json: true }],
    ['create --config k.mjs --shards 4', { kind: 'cluster create', config: 'k.mjs', shards: 4 }],
    ['drain a k.mjs', { kind: 'cluster drain', member: 'a', config: 'k.mjs' }],
    ['move 3 b k.mjs', { kind: 'cluster move', shard: 3, member: 'b', config: 'k.mjs' }],
    ['move 3 --anywhere k.mjs', { shard: 3, member: undefined, config: 'k.mjs' }],
    ['copies 2 k.mjs', { kind: 'cluster copies', copies: 2, config: 'k.mjs' }],
    ['accept-loss 3', { kind: 'cluster accept-loss', shard: 3, yes: false }],
    ['accept-loss 3 --yes', { kind: 'cluster accept-loss', shard: 3, yes: true }],
  ])('is read: %s', (line, command) => {
    expect(parse(`cluster ${line}`)).toMatchObject(command)
  })

  test.each([
    ...['nothing', 'status a b', 'status a --config b', 'create --shards 0', 'drain'],
    ...['copies', 'copies 0', 'copies 10', 'copies a', 'copies 1 a b'],
    ...['drain a b c', 'accept-loss', 'accept-loss a', 'accept-loss -1', 'status --yes'],
    ...['move', 'move 3', 'move a b', 'move 3 b c d', 'move --anywhere', 'move 3 a b --anywhere'],
  ])('is refused: %s', (line) => {
    expect(codeOf(() => parse(`cluster ${line}`))).toBe('INVALID_ARGUMENT')
  })

  test('has help for each of its words', () => {
    expect(parse('cluster drain --help')).toMatchObject({
      text: expect.stringContaining('MEMBER'),
    })
    expect(usage).toContain('keelson cluster accept-loss SHARD')
  })
})
