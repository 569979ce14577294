import { describe, expect, test } from 'vitest'
import { parseCommandLine } from '../../../src/inspect/cli/command-line.ts'

const parse = (line: string) => parseCommandLine(line.split(' '))

describe('keelson wal', () => {
  test('dump takes LSNs, both included', () => {
    expect(parse('wal dump d')).toMatchObject({ to: Number.MAX_SAFE_INTEGER })
    expect(parse('wal dump d --from 5 --to 5')).toMatchObject({ kind: 'wal dump', from: 5, to: 5 })
  })

  test('salvage takes where to', () => {
    expect(parse('wal salvage d --to e')).toMatchObject({ kind: 'wal salvage', dir: 'd', to: 'e' })
  })

  test.each([
    'wal repair d',
    'wal verify d',
    'wal dump',
    'wal dump a b',
    'wal dump d --fix',
    'wal dump d --from 0',
    'wal dump d --from x',
    'wal dump d --from 1e3',
    'wal dump d --from 9007199254740992',
    'wal dump d --from 7 --to 6',
    'wal dump d --reveal',
    'wal salvage d',
    'wal salvage d --to=',
    'wal salvage --to e',
  ])('refuses `%s`', (line) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test.each(['dump', 'salvage'])('%s --help is the help of that command', (name) => {
    const help = parse(`wal ${name} --help`)

    expect(help).toMatchObject({
      kind: 'help',
      text: expect.stringContaining(`keelson wal ${name} DIR`),
    })
    expect(help).not.toMatchObject({ text: expect.stringContaining('keelson start') })
  })

  test('alone, and keelson help, show all of them', () => {
    for (const words of [['wal'], ['wal', '--help'], ['wal', 'help']])
      expect(parseCommandLine(words)).toMatchObject({
        text: expect.stringMatching(/wal dump[\s\S]*wal salvage/),
      })
  })
})
