import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { errorText } from '../../../src/inspect/text/error-view.ts'

describe('an error', () => {
  test('of ours is its code and message in one line, then a line for each fact', () => {
    const details = { dir: 'd', holder: { pid: 7 }, absent: undefined, many: [1, 2] }
    const error = new KeelsonError('LOCKED_DIR', 'The folder is held.', { details })

    expect(errorText(error)).toBe(
      [
        'LOCKED_DIR: The folder is held.',
        '  dir: d',
        '  holder: { pid: 7 }',
        '  many: [ 1, 2 ]',
      ].join('\n'),
    )
  })

  test('of others is its name and message', () => {
    expect(errorText(new TypeError('no function'))).toBe('TypeError: no function')
    expect(errorText('a word')).toBe("thrown: 'a word'")
    expect(errorText(undefined)).toBe('thrown: undefined')
  })

  test('may fail at being printed', () => {
    const fail = () => {
      throw new Error('no')
    }

    expect(errorText(new Proxy({}, { getPrototypeOf: fail }))).toBe("thrown: '[unreadable]'")
    expect(errorText({ [inspect.custom]: fail })).toBe('thrown: a value that cannot be printed')
  })

  test('names its causes, but not one with the same message', () => {
    const root = new Error('disk on fire')
    const middle = new KeelsonError('SHARD_DOWN', 'Shard 0 is down.', { cause: root })

    expect(errorText(new Error('no write', { cause: middle }))).toBe(
      [
        'Error: no write',
        '  because of SHARD_DOWN: Shard 0 is down.',
        '  because of Error: disk on fire',
      ].join('\n'),
    )
    expect(errorText(new Error('it failed: disk on fire', { cause: root }))).toBe(
      'Error: it failed: disk on fire',
    )
  })

  test('of ours leaves what the system said to its details, and stacks in them out', () => {
    const cause = new Error('EIO: read')
    const reason = ['shutdown', { id: 'counter', error: new TypeError('no init') }]
    const error = new KeelsonError('EXITED', 'It ended.', { details: { reason }, cause })

    expect(errorText(error)).toBe(
      "EXITED: It ended.\n  reason: [ 'shutdown', { id: 'counter', error: 'TypeError: no init' } ]",
    )
  })

  test('shows a stack when asked to, and else none', () => {
    const error = new KeelsonError('CORRUPT', 'Bad frame.')

    expect(errorText(error)).not.toContain('error-view.test')
    expect(errorText(error, true)).toContain('error-view.test')
  })

  test('shows no control character of a name in message, detail, cause or stack', () => {
    const name = 'a\u001b[2Jb\u202ec\rd'
    const cause = new KeelsonError('READ_ONLY', `not allowed: ${name}!`)
    const details = { file: name, holder: { path: name }, path: new Error(name) }
    const error = new KeelsonError('LOCKED_DIR', `${name} is held.`, { details, cause })

    for (const verbose of [false, true]) {
      const text = errorText(error, verbose)
      for (const each of ['\u001b', '\u202e', '\r']) expect(text).not.toContain(each)
      expect(text).toContain('a\\u{1b}[2Jb\\u{202e}c\\u{d}d is held.')
    }
  })

  test('has no line that a name with a line end made up: what it adds stands deeper than all of ours', () => {
    const name = 'a\nCORRUPT: made up\n  file: made up'
    const error = new KeelsonError('LOCKED_DIR', `${name} is held.`, { details: { file: name } })

    expect(errorText(error).split('\n')).toEqual([
      'LOCKED_DIR: a',
      '    CORRUPT: made up',
      '      file: made up is held.',
      '  file: a',
      '    CORRUPT: made up',
      '      file: made up',
    ])
  })

  test('that is its own cause has an end', () => {
    const error: Error = new Error('round')
    error.cause = Object.assign(new Error('and round'), { cause: error })

    expect(errorText(error).split('\n').length).toBeLessThan(5)
  })
})
