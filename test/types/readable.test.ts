/** What the compiler says of a mistake is read in an editor: it stands where the mistake is, says what is wrong, and is short. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const planted = 'test/planted/misuses.ts'

/** A mistake that was planted: the line of it, and what must be said there. */
interface Mistake {
  readonly line: number
  readonly code: string
  readonly says: string
}

const mistakes = (): Mistake[] => {
  const lines = readFileSync(planted, 'utf8').split('\n')
  return lines.flatMap((text, index) => {
    const says = /^\s*\/\/ says: (.*)$/.exec(text)?.[1]
    return says === undefined ? [] : [{ line: index + 2, code: lines[index + 1] ?? '', says }]
  })
}

/** What the compiler says of the planted file, by line. */
const said = (): Map<number, string> => {
  mkdirSync('.tmp', { recursive: true })
  const dir = mkdtempSync(join('.tmp', 'misuses-'))
  try {
    const config = join(dir, 'tsconfig.json')
    const include = [join(process.cwd(), planted)]
    writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.json', include, exclude: [] }))
    const tsc = join('node_modules', '.bin', 'tsc')
    const { stdout } = spawnSync(tsc, ['-p', config, '--pretty', 'false'], { encoding: 'utf8' })
    const errors = stdout.split(/^(?=\S.*\(\d+,\d+\): error TS)/m).filter(Boolean)
    return new Map(errors.map((error) => [Number(/\((\d+),/.exec(error)?.[1]), error.trimEnd()]))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

describe('the compiler', () => {
  const errors = said()

  test.each(mistakes())('says of `$code`: $says', ({ line, says }) => {
    const error = errors.get(line) ?? 'nothing'
    expect(error).toContain(says)
    expect(error.split('\n').length).toBeLessThanOrEqual(7)
    expect(error.length).toBeLessThan(900)
  })

  test('complains of nothing else, and of at least 25 mistakes', () => {
    const lines = mistakes().map(({ line }) => line)
    expect([...errors.keys()].filter((line) => !lines.includes(line))).toEqual([])
    expect(lines.length).toBeGreaterThanOrEqual(25)
  })
})
