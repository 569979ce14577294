import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/storage/crc32.ts'
import { runKeelson, startKeelson } from '../support/keelson-command.ts'
import { tempFolder } from '../support/temp-folder.ts'

const write = (dir: string, name: string, text: string): void => {
  mkdirSync(dirname(join(dir, name)), { recursive: true })
  writeFileSync(join(dir, name), text)
}

/** The first word of what a command said on standard error, without the line that greets. */
const codeIn = (errors: string): string | undefined => /^([A-Z_]+): /m.exec(errors)?.[1]

describe('keelson start (needs the build)', () => {
  test('runs piped lines in order, awaiting each, and ends in order with status 0', async () => {
    const dir = tempFolder()
    const lines = [
      "await store.put('a', { n: 1 })",
      "store.put('b', [1, 2])",
      "store.get('a')",
      "const both = await Promise.all([store.delete('a'), store.get('b')])",
      'both[0].existed',
      'both[1]',
      'nobody',
      "store.put('', 1)",
      "[store.has('a'), store.has('b')]",
    ]

    const { status, output } = await runKeelson(['start'], dir, lines.join('\n'))

    const answers = output.split('\n').filter((line) => !line.startsWith('  '))
    expect(answers).toEqual([
      '{ position: { shard: 0, lsn: 1 } }',
      '{ position: { shard: 0, lsn: 2 } }',
      '{ n: 1 }',
      'undefined',
      'true',
      '[ 1, 2 ]',
      'ReferenceError: nobody is not defined',
      expect.stringMatching(/^INVALID_ARGUMENT: /),
      '[ false, true ]',
      '',
    ])
    expect(status).toBe(0)
    expect(readdirSync(dir)).toEqual(['keelson-data'])
  })

  test('finds what it acknowledged again, and says that it was closed in order', async () => {
    const dir = tempFolder()
    await runKeelson(['start', '--dir', 'd'], dir, "store.put('a', 1)")

    const { output } = await runKeelson(['start', '--dir', 'd'], dir, "store.get('a')\nwal()")

    expect(output).toMatch(/^1\nshard 0 {2}open\n/)
    expect(output).toContain('closed cleanly')
  })

  test('loses nothing that it acknowledged to kill -9', async () => {
    const dir = tempFolder()
    const lines = [
      'var puts = Array.from({ length: 500 }, (_, i) => store.put("k" + i, i))',
      '(await Promise.all(puts)).length',
      "process.kill(process.pid, 'SIGKILL')",
    ]
    const killed = await runKeelson(['start'], dir, lines.join('\n'))
    expect([killed.signal, killed.output]).toEqual(['SIGKILL', 'undefined\n500\n'])

    const again = await runKeelson(
      ['start'],
      dir,
      'store.getMany(Array.from({ length: 500 }, (_, i) => "k" + i)).every((v, i) => v === i)',
    )

    expect([again.status, again.output]).toEqual([0, 'true\n'])
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    test(`closes in order at ${signal}, and says so`, async () => {
      const dir = tempFolder()
      const command = startKeelson(['start'], dir)
      await command.write("await store.put('a', 1)\n")
      await command.says('lsn: 1')

      command.process.kill(signal)
      const { status, errors } = await command.ended

      expect(status).toBe(0)
      expect(errors).toContain(`${signal}: ending in order`)
      expect((await runKeelson(['start'], dir, 'wal()')).output).toContain('closed cleanly')
    })

  test('stays with a line that never settles, and closes in order at a signal', async () => {
    const dir = tempFolder()
    const command = startKeelson(['start'], dir)
    // This timer holds nothing: it fires only in a process that stays for another reason.
    const says = "setTimeout(() => console.log('stays'), 300).unref()"
    command.process.stdin?.end(`await store.put('a', 1)\n${says}, await new Promise(() => {})`)
    await command.says('stays')

    command.process.kill('SIGTERM')
    const { status, errors } = await command.ended

    expect([status, errors.includes('SIGTERM: ending in order')]).toEqual([0, true])
    expect((await runKeelson(['start'], dir, 'wal()')).output).toContain('closed cleanly')
  })

  test('whose tree never gets ready is ended in order by a signal', async () => {
    const dir = tempFolder()
    write(
      dir,
      'slow.mjs',
      `export const server = {
        init: () => {
          setTimeout(() => process.stderr.write('init stays'), 300).unref()
          return new Promise(() => {})
        },
        calls: {}, casts: {},
      }`,
    )
    write(dir, 'keelson.config.json', treeWith('./slow.mjs'))
    const command = startKeelson(['start', '--dir', 'd'], dir)
    await command.says('init stays', 'errors')

    command.process.kill('SIGTERM')
    const { status, errors } = await command.ended

    expect([status, errors.includes('SIGTERM: ending in order')]).toEqual([143, true])
    const again = await runKeelson(['start', '--dir', join(dir, 'd')], tempFolder(), 'wal()')
    expect(again.output).toContain('closed cleanly')
  })

  test('whose configuration never loads is ended by a signal, with nothing on disk', async () => {
    const dir = tempFolder()
    const text = `
      setTimeout(() => process.stderr.write('loading stays'), 300).unref()
      await new Promise(() => {})`
    write(dir, 'keelson.config.mjs', text)
    const command = startKeelson(['start'], dir)
    await command.says('loading stays', 'errors')

    command.process.kill('SIGINT')

    expect((await command.ended).status).toBe(130)
    expect(readdirSync(dir)).toEqual(['keelson.config.mjs'])
  })

  test('ends at once at the second signal', async () => {
    const dir = tempFolder()
    write(
      dir,
      'stuck.mjs',
      `export const server = {
        init: (_, context) => { context.trapExit(true); return {} },
        calls: {}, casts: {},
        terminate: () => { process.stderr.write('hanging'); return new Promise(() => {}) },
      }`,
    )
    const stuck = {
      kind: 'worker',
      id: 'stuck',
      module: './stuck.mjs',
      options: { shutdownMs: 1e6 },
    }
    const tree = { kind: 'supervisor', id: 'app', options: {}, children: [stuck] }
    write(dir, 'keelson.config.json', JSON.stringify({ app: tree }))
    const command = startKeelson(['start'], dir)
    await command.write('1\n')
    await command.says('1')

    command.process.kill('SIGINT')
    await command.says('hanging', 'errors')
    command.process.kill('SIGTERM')

    expect((await command.ended).status).toBe(143)
  })

  test('ends with status 1 and the reason when the root supervisor gives up', async () => {
    const dir = tempFolder()
    const kills = Array.from({ length: 4 }, () => [
      "kill('shards')",
      'await new Promise((resolve) => setImmediate(resolve))',
    ]).flat()
    const command = startKeelson(['start'], dir)
    await command.write(`${kills.join('\n')}\n`)

    const { status, errors } = await command.ended

    expect([status, codeIn(errors)]).toEqual([1, 'EXITED'])
  })

  test('survives a promise of the prompt that nobody handles', async () => {
    const dir = tempFolder()
    const lines = [
      "void Promise.reject(new Error('stray'))",
      'await new Promise((resolve) => setImmediate(resolve))',
      '1 + 1',
    ]

    const { status, output, errors } = await runKeelson(['start'], dir, lines.join('\n'))

    expect([status, output]).toEqual([0, 'undefined\nundefined\n2\n'])
    expect(errors).toContain('nobody handled it: Error: stray')
  })
})

describe('keelson start with a configuration (needs the build)', () => {
  const counter = `
    import { type GenServer, reply } from 'keelson'
    type Messages = { calls: { add: (by: number) => number; crash: () => void } }
    export const server: GenServer<Messages, { count: number }, number> = {
      init: (count) => ({ count }),
      calls: {
        add: ({ count }, by) => reply(count + by, { count: count + by }),
        crash: () => { throw new Error('as it should') },
      },
    }`
  const config = `
    import { supervisor, worker, type KeelsonConfig } from 'keelson'
    export default {
      dir: './data',
      shards: 2,
      app: supervisor('app', { strategy: 'one_for_one' }, [
        worker('counter', './actors/counter.ts', { arg: 40 }),
      ]),
    } satisfies KeelsonConfig`

  const project = (): string => {
    const dir = tempFolder()
    write(dir, 'package.json', '{"type":"module"}')
    write(dir, 'actors/counter.ts', counter)
    write(dir, 'keelson.config.ts', config)
    mkdirSync(join(dir, 'node_modules'))
    symlinkSync(process.cwd(), join(dir, 'node_modules/keelson'))
    return dir
  }

  test('in TypeScript runs the tree that it describes, written in TypeScript', async () => {
    const dir = project()
    const lines = ["call(counter, 'add', 2)", 'state(counter)', 'app.shards.length']

    const { status, output } = await runKeelson(['start'], dir, lines.join('\n'))

    expect([output, status]).toEqual(['42\n{ count: 42 }\n2\n', 0])
    expect(existsSync(join(dir, 'data/keelson.json'))).toBe(true)
  })

  test('starts a crashed actor again, and shows it', async () => {
    const dir = project()
    const lines = ["call(counter, 'crash')", "call(counter, 'add', 1)", 'tree()']

    const { output } = await runKeelson(['start'], dir, lines.join('\n'))

    expect(output).toMatch(/^EXITED: .*\n(?: .*\n)*41\n/)
    expect(output).toMatch(/└─ counter +<\d+> +server +0 +1 +running/)
  })

  for (const [what, name, text, path] of [
    ['an option that is none', 'keelson.config.json', '{"shardz":1}', 'shardz'],
    [
      'a module that is not there',
      'keelson.config.json',
      treeWith('./nowhere.mjs'),
      'app.children[0].module',
    ],
    [
      'a module without a server',
      'keelson.config.json',
      treeWith('./empty.mjs'),
      'app.children[0].module',
    ],
    ['no JSON', 'keelson.config.json', '{', 'keelson.config.json'],
  ] as const)
    test(`with ${what} is refused with CONFIG, status 1, and nothing on disk`, async () => {
      const dir = realpathSync(tempFolder())
      write(dir, 'empty.mjs', 'export {}')
      write(dir, name, text)
      const before = readdirSync(dir)

      const { status, errors, output } = await runKeelson(['start'], dir, '1')

      expect([status, codeIn(errors), output]).toEqual([1, 'CONFIG', ''])
      expect(errors.split('\n')[0]).toContain(path)
      expect(errors.split('\n')[0]).toContain(join(dir, name))
      expect(errors).not.toMatch(/^\s+at /m)
      expect(readdirSync(dir)).toEqual(before)
    })

  test('that --config names in vain is refused with CONFIG', async () => {
    const dir = tempFolder()

    const { status, errors } = await runKeelson(['start', '--config', 'no.ts'], dir)

    expect([status, codeIn(errors), readdirSync(dir)]).toEqual([1, 'CONFIG', []])
  })

  test('that is not durable says so before anything else', async () => {
    const dir = tempFolder()
    write(dir, 'keelson.config.json', '{"wal":{"enableFsync":false}}')

    const { errors, output } = await runKeelson(['start'], dir, "store.put('a', 1)")

    expect(errors).toContain('NOT DURABLE')
    expect(output).toBe("{ position: { shard: 0, lsn: 1 }, level: 'written' }\n")
  })
})

function treeWith(module: string): string {
  const child = { kind: 'worker', id: 'a', module, options: {} }
  return JSON.stringify({ app: { kind: 'supervisor', id: 'app', options: {}, children: [child] } })
}

describe('a folder that cannot be opened (needs the build)', () => {
  test('because somebody has it: LOCKED_DIR, and the holder goes on', async () => {
    const dir = tempFolder()
    const holder = startKeelson(['start'], dir)
    await holder.write('1\n')
    await holder.says('1')

    const { status, errors } = await runKeelson(['start'], dir, '1')
    expect([status, codeIn(errors)]).toEqual([1, 'LOCKED_DIR'])
    expect(errors).toContain(`pid: ${holder.process.pid}`)

    await holder.write("await store.put('a', 1)\n")
    holder.process.stdin?.end()
    expect((await holder.ended).status).toBe(0)
  })

  test('because a newer version made it: UNSUPPORTED_VERSION, and it is left as it is', async () => {
    const dir = tempFolder()
    await runKeelson(['start', '--dir', 'd'], dir, "store.put('a', 1)")
    const file = join(dir, 'd/keelson.json')
    const newer = asNewer(readFileSync(file, 'utf8'))
    writeFileSync(file, newer)

    for (const words of [
      ['start', '--dir', 'd'],
      ['ingest', '-', '--dir', 'd', '--key', 'id'],
    ]) {
      const { status, errors } = await runKeelson(words, dir, '{"id":1}')
      expect([status, codeIn(errors)]).toEqual([1, 'UNSUPPORTED_VERSION'])
    }
    expect(readFileSync(file, 'utf8')).toBe(newer)
  })

  test('because it may not be written: READ_ONLY', async () => {
    const dir = tempFolder()
    // The superuser may write everywhere but where nobody can.
    const target = process.getuid?.() === 0 ? '/sys/keelson' : join(dir, 'd')
    chmodSync(dir, 0o500)

    const { status, errors } = await runKeelson(['start', '--dir', target], process.cwd(), '1')

    expect([status, codeIn(errors)]).toEqual([1, 'READ_ONLY'])
    expect(readdirSync(dir)).toEqual([])
  })

  test('because the present folder is gone: CONFIG, without a stack', async () => {
    const dir = tempFolder()
    const gone = join(dir, 'gone')
    mkdirSync(gone)
    const command = startKeelson(['start'], gone)
    // It stands in the folder as soon as it is spawned, and asks for its path much later.
    rmdirSync(gone)

    const { status, errors } = await command.ended

    expect([status, codeIn(errors), /^\s+at /m.test(errors)]).toEqual([1, 'CONFIG', false])
  })

  test('because it is a file: CONFIG', async () => {
    const dir = tempFolder()
    write(dir, 'd', 'mine')

    const { status, errors } = await runKeelson(['start', '--dir', 'd'], dir, '1')

    expect([status, codeIn(errors), readFileSync(join(dir, 'd'), 'utf8')]).toEqual([
      1,
      'CONFIG',
      'mine',
    ])
  })
})

/** The text of `keelson.json` as a later version would write it: a higher format under a checksum that holds. */
function asNewer(text: string): string {
  const { crc: _, ...fields } = JSON.parse(text)
  fields.format++
  const sorted = Object.keys(fields)
    .sort()
    .map((key) => [key, fields[key]])
  const crc = crc32(Buffer.from(JSON.stringify(sorted)))
  return JSON.stringify({ ...fields, crc: crc.toString(16).padStart(8, '0') })
}

describe('keelson ingest (needs the build)', () => {
  const records = Array.from({ length: 3_000 }, (_, at) => ({
    id: `k${at}`,
    n: at,
    text: 'ä"\\]}',
  }))
  const count =
    'let n = 0; for await (const [key, value] of store.entries()) if (key === value.id) n++; console.log(n)'

  for (const [name, text] of [
    ['records.ndjson', records.map((record) => JSON.stringify(record)).join('\n')],
    ['records.json', JSON.stringify(records, undefined, 1)],
  ] as const)
    test(`puts every record of ${name}, and sums up`, async () => {
      const dir = tempFolder()
      write(dir, name, text)

      const { status, output } = await runKeelson(
        ['ingest', name, '--dir', 'd', '--key', 'id'],
        dir,
      )

      expect(status).toBe(0)
      expect(output).toMatch(/^records {7}3,000$/m)
      expect(output).toMatch(/^acknowledged {2}3,000 \(durable\)$/m)
      expect(output).toContain(`(${Buffer.byteLength(text).toLocaleString('en-US')})`)
      expect((await runKeelson(['start', '--dir', 'd'], dir, count)).output).toBe(
        '3000\nundefined\n',
      )
    })

  test('reads standard input', async () => {
    const dir = tempFolder()
    const input = JSON.stringify(records.slice(0, 10))

    const words = ['ingest', '-', '--format', 'json', '--dir', 'd', '--key', 'n']
    const { status, output } = await runKeelson(words, dir, input)

    expect([status, /acknowledged {2}10 /.test(output)]).toEqual([0, true])
  })

  test('reports refused records by their numbers, keeps the others, and ends with status 1', async () => {
    const dir = tempFolder()
    write(dir, 'r.ndjson', '{"id":"a"}\n{"no":1}\n{"id":"c"}\nno json\n')

    const { status, output, errors } = await runKeelson(
      ['ingest', 'r.ndjson', '--dir', 'd', '--key', 'id'],
      dir,
    )

    expect(status).toBe(1)
    expect(errors.match(/^INVALID_ARGUMENT: Record \d+/gm)).toEqual([
      'INVALID_ARGUMENT: Record 2',
      'INVALID_ARGUMENT: Record 4',
    ])
    expect(output).toMatch(/^acknowledged {2}2 /m)
    expect(output).toMatch(/^refused {7}2$/m)
  })

  test('names the number of each record that the store refuses', async () => {
    const dir = tempFolder()
    write(dir, 'r.ndjson', `{"id":"a"}\n{"id":"${'k'.repeat(100_000)}"}\n{"id":""}\n`)

    const words = ['ingest', 'r.ndjson', '--dir', 'd', '--key', 'id']
    const { status, errors } = await runKeelson(words, dir)

    expect([status, errors.match(/^[A-Z_]+: Record \d/gm)]).toEqual([
      1,
      ['INVALID_ARGUMENT: Record 2', 'INVALID_ARGUMENT: Record 3'],
    ])
  })

  test('that is interrupted says how far it got, and that much is there', async () => {
    const dir = tempFolder()
    const command = startKeelson(['ingest', '-', '--dir', 'd', '--key', 'id'], dir)
    const lines = records.map(
      (record) => `${JSON.stringify({ ...record, more: 'x'.repeat(500) })}\n`,
    )
    await command.write(lines.join(''))

    command.process.kill('SIGINT')
    const { status, output, errors } = await command.ended

    const through = Number(/complete up to record ([\d,]+)/.exec(output)?.[1]?.replaceAll(',', ''))
    expect(status).toBe(130)
    expect(errors).toContain('SIGINT: ending in order')
    expect(through).toBeGreaterThan(0)
    const keys = `Array.from({ length: ${through} }, (_, i) => 'k' + i)`
    const check = `store.getMany(${keys}).every((value, i) => value.n === i)`
    expect((await runKeelson(['start', '--dir', 'd'], dir, check)).output).toBe('true\n')
  })

  for (const [what, words] of [
    ['that is not there', ['ingest', 'no.json', '--dir', 'd', '--key', 'id']],
    ['that is a folder', ['ingest', 'folder', '--format', 'json', '--dir', 'd', '--key', 'id']],
  ] as const)
    test(`of a file ${what} is refused before the data folder is made`, async () => {
      const dir = tempFolder()
      mkdirSync(join(dir, 'folder'))

      const { status, errors } = await runKeelson(words, dir)

      expect([status, codeIn(errors), readdirSync(dir)]).toEqual([
        1,
        'INVALID_ARGUMENT',
        ['folder'],
      ])
    })

  test('of an array that is none says where it broke, and keeps what was acknowledged', async () => {
    const dir = tempFolder()
    write(dir, 'r.json', '[{"id":"a"},{"id":"b"} {"id":"c"}]')

    const { status, output, errors } = await runKeelson(
      ['ingest', 'r.json', '--dir', 'd', '--key', 'id'],
      dir,
    )

    expect([status, codeIn(errors)]).toEqual([1, 'INVALID_ARGUMENT'])
    expect(errors).toContain('record: 3')
    expect(output).toContain('complete up to record 2')
  })
})

describe('the command line (needs the build)', () => {
  for (const words of [['stop'], ['start', '--nonsense'], ['ingest', 'a.json']])
    test(`is refused with status 2 and the usage: keelson ${words.join(' ')}`, async () => {
      const { status, errors, output } = await runKeelson(words, tempFolder())

      expect([status, codeIn(errors), output]).toEqual([2, 'INVALID_ARGUMENT', ''])
      expect(errors).toContain('Usage:')
    })

  test('prints its version and its help on standard output', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

    expect((await runKeelson(['--version'], tempFolder())).output).toBe(`${version}\n`)
    expect((await runKeelson([], tempFolder())).output).toMatch(/^Usage:/)
  })

  test('shows a stack only when asked to', async () => {
    const words = ['start', '--config', 'no.ts']

    expect((await runKeelson(words, tempFolder())).errors).not.toMatch(/^\s+at /m)
    expect((await runKeelson([...words, '--verbose'], tempFolder())).errors).toMatch(/^\s+at /m)
    const debug = await runKeelson(words, tempFolder(), '', { KEELSON_DEBUG: '1' })
    expect(debug.errors).toMatch(/^\s+at /m)
  })
})
