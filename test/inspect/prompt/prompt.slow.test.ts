import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { inspect, stripVTControlCharacters } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { Prompt } from '../../../src/inspect/prompt/prompt.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { Feed, View } from '../../../src/inspect/text/view.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A session with these words. */
const sessionOf = (words: Record<string, unknown> = {}, completions: readonly string[] = []) =>
  new LocalSession({ words, colours: false, verbose: false, completions: () => completions })

/** Everything that a prompt without a terminal answers to the text. */
const answers = async (text: string, words: Record<string, unknown> = {}): Promise<string> => {
  const environment = { input: new PassThrough(), output: new PassThrough() }
  const prompt = new Prompt({ environment, session: sessionOf(words) })
  environment.input.end(text)
  await prompt.run()
  environment.output.end()
  return Buffer.concat(await environment.output.toArray()).toString()
}

/** A promise that is settled by hand. */
const latch = () => {
  let open: (value: unknown) => void = () => undefined
  const promise = new Promise((resolve) => {
    open = resolve
  })
  return { promise, open }
}

describe('piped lines', () => {
  test('are run one after another, each printed', async () => {
    expect(await answers("1 + 1\n'text'\n\n// a comment\nundefined\n({ a: [1] })")).toBe(
      "2\n'text'\nundefined\n{ a: [ 1 ] }\n",
    )
  })

  test('wait for the line before, however long it takes', async () => {
    const gate = latch()
    const order: string[] = []
    const slow = async () => {
      await gate.promise
      order.push('slow')
    }
    const quick = () => void order.push('quick')
    const done = answers('await slow()\nslow()\nquick()', { slow, quick })

    await new Promise((resolve) => setImmediate(resolve))
    expect(order).toEqual([])
    gate.open(undefined)
    await done

    expect(order).toEqual(['slow', 'slow', 'quick'])
  })

  test('may be unfinished: they are gathered until they are whole', async () => {
    expect(
      await answers('[1, 2]\n  .length\nvar f1 = (x) => {\n  return x + 1\n}\nf1(\n  1,\n)'),
    ).toContain('\n2\n')
  })

  test('that fail print their error, and the next one runs', async () => {
    const refuse = () => {
      throw new KeelsonError('INVALID_ARGUMENT', 'No.', { details: { path: 'p' } })
    }
    const reject = () => Promise.reject(new KeelsonError('SHARD_DOWN', 'Down.'))

    expect(await answers('refuse()\nreject()\nnobody\n)\n1', { refuse, reject })).toBe(
      [
        'INVALID_ARGUMENT: No.',
        '  path: p',
        'SHARD_DOWN: Down.',
        'ReferenceError: nobody is not defined',
        "SyntaxError: Unexpected token ')'",
        '1',
        '',
      ].join('\n'),
    )
  })

  test('that end within an expression say so', async () => {
    expect(await answers('1\nfoo(')).toBe('1\nSyntaxError: the input ended within an expression\n')
  })

  test.each(['.exit', 'exit', 'exit()', 'quit', ' quit(); '])('end at %s', async (word) => {
    expect(await answers(`1\n${word}\n2`)).toBe('1\n')
  })

  test('print a value of more than a hundred lines with less depth, and a shorter one whole', async () => {
    const deep = (lines: number) => ({
      a: { b: { c: Array.from({ length: lines }, () => 'x'.repeat(80)) } },
    })

    expect((await answers('deep(90)', { deep })).split('\n').length).toBeGreaterThan(90)
    expect(await answers('deep(100)', { deep })).toMatch(
      /^\{\s+a: \{ b: \{ c: \[Array\] \} \}\s+\}\n$/,
    )
  })

  test('print views as they are', async () => {
    const view = () => Promise.resolve(new View('a  b\n1  2'))

    expect(await answers('view()\n[await view()]', { view })).toBe(
      'a  b\n1  2\n[\n  a  b\n  1  2\n]\n',
    )
  })

  test('may give a value that cannot be shown: its error is', async () => {
    const value = {
      [inspect.custom]: () => {
        throw new Error('not for eyes')
      },
    }

    expect(await answers('value\n1', { value })).toBe('Error: not for eyes\n1\n')
  })

  test('keep what they declare, also when it was awaited', async () => {
    const text =
      'const declared1 = await Promise.resolve(20)\nlet declared2 = 1\ndeclared1 + declared2'

    expect(await answers(text)).toBe('undefined\nundefined\n21\n')
  })

  test('may be ten thousand', async () => {
    const lines = Array.from({ length: 10_000 }, (_, at) => `${at}`)

    expect(await answers(lines.join('\n'))).toBe(`${lines.join('\n')}\n`)
  })
})

describe('the words of a prompt', () => {
  test('are its own: a global of the same name stays as it is', async () => {
    const before = { value: 'mine', configurable: true, writable: true }
    Object.defineProperty(globalThis, 'word1', before)
    onTestFinished(() => void Reflect.deleteProperty(globalThis, 'word1'))

    expect(await answers('word1 = word1 + 1\nword1 + word2', { word1: 'a', word2: 'b' })).toBe(
      "'a1'\n'a1b'\n",
    )

    expect(Object.getOwnPropertyDescriptor(globalThis, 'word1')?.value).toBe('mine')
  })

  test('may be covered by what a line declares', async () => {
    expect(await answers('var word3 = 5\nword3', { word3: 'a' })).toBe('undefined\n5\n')
  })
})

test('a closed prompt takes no more lines', async () => {
  const environment = { input: new PassThrough(), output: new PassThrough() }
  const prompt = new Prompt({ environment, session: sessionOf() })
  const done = prompt.run()
  prompt.close()

  await done
  expect(environment.output.read()).toBeNull()
})

describe('on a terminal', () => {
  /** A prompt on a terminal: `type` sends keys and returns the output for them. */
  const attended = (
    words: Record<string, unknown> = {},
    completions: readonly string[] = [],
    columns = 80,
    history?: string,
  ) => {
    const input = Object.assign(new PassThrough(), {
      isTTY: true,
      isRaw: false,
      setRawMode(mode: boolean) {
        this.isRaw = mode
      },
    })
    const output = Object.assign(new PassThrough(), { isTTY: true, columns })
    const environment = { input, output }
    const session = sessionOf(words, completions)
    const done = new Prompt({ environment, session, history }).run()
    const drawn = async (keys: string): Promise<string> => {
      for (const key of keys) input.write(key)
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
      return String(output.read() ?? '')
    }
    const type = async (keys: string) => stripVTControlCharacters(await drawn(keys))
    return { type, drawn, done, input }
  }

  test('it prompts, answers, and prompts for the rest of an incomplete line', async () => {
    const { type, done, input } = attended()

    expect(await type('')).toBe('keelson> ')
    expect(await type('1 + 1\r')).toMatch(/\r\n2\nkeelson> $/)
    expect(await type('[1,\r')).toMatch(/\r\n {5}\.\.\. $/)
    expect(await type('2]\r')).toMatch(/\[ 1, 2 \]\nkeelson> $/)
    input.end()
    await done
  })

  test('asynchronous output is printed above the typed text, and none after the end', async () => {
    const feed = new Feed('begun')
    const { type, done, input } = attended({ feed })

    expect(await type('feed\r')).toMatch(/begun\nkeelson> $/)
    await type('1 + ')
    feed.add('something happened')
    expect(await type('')).toMatch(/something happened\nkeelson> 1 \+ $/)
    expect(await type('1\r')).toMatch(/2\nkeelson> $/)
    input.end()
    await done
    feed.add('too late')
    expect(await type('')).not.toContain('too late')
  })

  test('asynchronous output clears every row of the typed text, and draws them below', async () => {
    const feed = new Feed('begun')
    const { type, drawn, done, input } = attended({ feed }, [], 20)
    await type('feed\r')
    await type('"a text of two rows"')

    feed.add('told')
    const [before = '', after = ''] = (await drawn('')).split('told')

    expect(before).toBe('\x1b[1A\r\x1b[0J')
    // readline moves up by as many rows before it draws them.
    expect(after.startsWith('\n\n\x1b[1A\x1b[1G\x1b[0Jkeelson> "a text of two rows"')).toBe(true)
    input.end()
    await done
  })

  test('Tab completes commands, names of processes, and methods of the handles', async () => {
    class Base {
      flushAll() {}
    }
    class Handle extends Base {
      suspend() {}
    }
    const words = { control: new Handle(), flow: new Handle(), tree: () => 1 }
    const { type, done, input } = attended(words, ['wal_writer(0)', 'wal_writer(1)'])

    expect(await type('tr\t()\r')).toContain('tree()')
    expect(await type('wal_w\t')).toContain('wal_writer(')
    expect(await type('\x03')).toContain('keelson> ')
    expect(await type('control.fl\t')).toContain('control.flushAll')
    expect(await type('\x03')).toContain('keelson> ')
    expect(await type('control.su\t')).toContain('control.suspend')
    expect(await type('\x03')).toContain('keelson> ')
    expect(await type('flow.su\t')).toContain('flow.suspend')
    expect(await type('\x03')).toContain('keelson> ')
    expect(await type("flow.resume('wal\t")).not.toContain('wal_writer(0)')
    input.end()
    await done
  })

  test('Tab completes what a value has, of a word or of a declared name, and runs no getter', {
    tags: ['O12'],
  }, async () => {
    const app = {
      store: { put: () => 1 },
      get secret(): unknown {
        throw new Error('it ran')
      },
    }
    const { type, done, input } = attended({ app })

    await type('const mine = { app, depth: 1 }\r')
    for (const [typed, completed] of [
      ['app.st\t', 'app.store'],
      ['app.store.p\t', 'app.store.put'],
      ['mine.app.se\t', 'mine.app.secret'],
      ['1 + mine.de\t', '1 + mine.depth'],
    ] as const) {
      expect(await type(typed)).toContain(completed)
      await type('\x03')
    }
    for (const typed of ['mine.app.secret.x\t', 'nobody.x\t', 'f().de\t']) {
      expect(await type(typed), typed).toMatch(/[xe]$/)
      await type('\x03')
    }
    input.end()
    await done
  })

  test('Ctrl-R finds earlier lines by a part of them: the latest, then older ones', {
    tags: ['O12'],
  }, async () => {
    const { type, done, input } = attended()
    for (const line of ["'one apple'", "'two apples'", "'three pears'"]) await type(`${line}\r`)

    await type('typed')
    expect(await type('\x12')).toMatch(/\(reverse-i-search\)`': $/)
    expect(await type('app')).toMatch(/`.*app.*': 'two apples'$/)
    expect(await type('\x12')).toMatch(/app': 'one apple'$/)
    expect(await type('\x12')).toMatch(/failed reverse-i-search.*': 'one apple'$/)
    expect(await type('\r')).toMatch(/keelson> 'one apple'\r\n'one apple'\nkeelson> $/)

    await type('\x12two')
    // Any other key takes the line, and edits it.
    await type('\x01')
    expect(await type('1 + \r')).toContain("'1two apples'")
    await type('half')
    await type('\x12pears')
    expect(await type('\x07')).toMatch(/keelson> half$/)
    await type('\x12nothing such')
    expect(await type('\r')).toMatch(/keelson> half\r\nReferenceError/)
    input.end()
    await done
  })

  test('what is told during a search leaves it as it is', async () => {
    const feed = new Feed('begun')
    const { type, done, input } = attended({ feed })
    await type("'earlier'\r")
    await type('feed\r')
    await type('\x12earl')

    feed.add('told')
    expect(await type('')).toMatch(/told\n.*`earl': 'earlier'$/)
    input.end()
    await done
  })

  test('clear clears the screen', { tags: ['O12'] }, async () => {
    const { drawn, done, input } = attended()
    await drawn('1\r')

    expect(await drawn('clear\r')).toContain('\x1b[1;1H\x1b[0J')
    expect(await drawn('[\r')).not.toContain('\x1b[1;1H')
    expect(await drawn('clear()]\r')).not.toContain('\x1b[1;1H')
    input.end()
    await done
  })

  test('Tab completes the process that a command is about, as it may be typed', async () => {
    const words = { kill: () => 1, wal_writer: () => 1, counter: 'counter' }
    const { type, done, input } = attended(words, ['wal_writer(0)', 'counter', 'order 7'])

    for (const [typed, completed] of [
      ['kill(wal_w\t', 'kill(wal_writer(0)'],
      ['kill(cou\t', 'kill(counter'],
      ["kill('wal\t", "kill('wal_writer(0)'"],
      ["kill('or\t", "kill('order 7'"],
    ] as const) {
      expect(await type(typed)).toContain(completed)
      await type('\x03')
    }
    await type('kill(\t')
    const listed = await type('\t')
    for (const name of ["'order 7'", 'counter', 'wal_writer(0)']) expect(listed).toContain(name)
    input.end()
    await done
  })

  test('keeps its lines for the next session, in a file that only its owner may read', async () => {
    const history = join(tempFolder(), 'history')
    writeFileSync(history, '1 + 1\n', { mode: 0o644 })
    const first = attended({}, [], 80, history)
    expect(await first.type('\x1b[A\r')).toMatch(/2\nkeelson> $/)
    await first.type('3 + 4\r')
    await first.type('\x04')
    await first.done

    expect(readFileSync(history, 'utf8')).toBe('1 + 1\n3 + 4\n')
    expect(statSync(history).mode & 0o777).toBe(0o600)
    const second = attended({}, [], 80, history)
    expect(await second.type('\x1b[A\r')).toMatch(/7\nkeelson> $/)
    await second.type('\x04')
    await second.done
  })

  test('works without a history that cannot be read or written', async () => {
    const { type, done } = attended({}, [], 80, join(tempFolder(), 'missing/history'))

    expect(await type('1\r')).toMatch(/1\nkeelson> $/)
    await type('\x04')
    await done
  })

  test('Ctrl-C clears a line, abandons a running one, and ends at the second press on an empty one', async () => {
    const { type, done } = attended({ never: () => new Promise(() => undefined) })

    await type('function f(\r')
    await type('\x03')
    expect(await type('1\r')).toMatch(/1\nkeelson> $/)
    expect(await type('never()\r')).not.toContain('keelson> ')
    expect(await type('\x03')).toMatch(/left alone.*\n.*keelson> $/)
    expect(await type('\x03')).toContain('Ctrl-C again')
    await type('2\r')
    expect(await type('\x03')).toContain('Ctrl-C again')
    await type('\x03')
    await done
  })

  test('Ctrl-C is a signal while code runs, and a key again when it awaits', async () => {
    const raw: boolean[] = []
    const note = async () => {
      raw.push(input.isRaw)
      await undefined
      raw.push(input.isRaw)
    }
    const { type, done, input } = attended({ note })

    await type('note()\r')
    await type('await note()\r')
    input.end()
    await done

    expect(raw).toEqual([false, true, false, true])
  })

  for (const [what, after] of [
    ['', ''],
    [', also before an await', '; await 0'],
  ] as const)
    test(`Ctrl-C ends a line that would keep everything waiting${what}`, async () => {
      const ignore = () => undefined
      process.on('SIGINT', ignore)
      onTestFinished(() => void process.off('SIGINT', ignore))
      const { type, done, input } = attended()
      const kill = "process.kill(process.pid, 'SIGINT')"
      // An end in seconds, if nothing interrupts it.
      const loop = 'for (let at = 0; at < 3e9; at++);'

      expect(await type(`${kill}; ${loop} 'over'${after}\r`)).toMatch(
        /interrupted by `SIGINT`\nkeelson> $/,
      )
      expect(await type('1\r')).toMatch(/1\nkeelson> $/)
      input.end()
      await done
    })

  test('Ctrl-D and .exit end', async () => {
    for (const keys of ['\x04', '.exit\r', 'exit\r']) {
      const { type, done, input } = attended()
      const ended = vi.fn()
      const ending = done.then(ended)

      await type('1\r')
      expect(ended).not.toHaveBeenCalled()
      await type(keys)
      await ending
      // The terminal is the shell's again.
      expect([ended.mock.calls.length, input.isRaw]).toEqual([1, false])
    }
  })
})
