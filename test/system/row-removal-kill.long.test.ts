/** An entity with many rows is deleted over three SIGKILLs (built package). `KEELSON_ROWS=1000000` for a million. */
import { expect, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import { commandHere } from '../support/commands/command-here.ts'
import { tempFolder } from '../support/temp-folder.ts'

const count = Number(process.env.KEELSON_ROWS ?? 100_000)
const kills = 3

test(
  `${count} rows of a deleted entity are removed over ${kills} kills, and none of its next life`,
  async () => {
    const dir = tempFolder()
    let removed = 0
    const lines: string[] = []
    for (let round = 0; round <= kills; round++) {
      const killAt = (count * (round + 1)) / (kills + 2)
      const child = childProgram('row-removal.mjs', [dir, String(count)], (line) => {
        const [what, rows] = line.split(' ')
        if (what !== 'removed') return void lines.push(`${round} ${line}`)
        removed += Number(rows)
        if (round < kills && removed >= killAt) child.process.kill('SIGKILL')
      })
      const end = await child.ended
      const expected = round < kills ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null }
      expect(end, `round ${round}: ${child.stderr()} ${lines}`).toEqual(expected)
    }
    // A piece that was durable and not told, or told and not projected, is removed once more.
    expect(removed).toBeGreaterThan(count * 0.9)
    expect(lines).toContain(`${kills} left 10 10`)
    const examined = await commandHere(['doctor', dir, '--deep'], dir)
    expect(examined).toMatchObject({ status: 0 })
  },
  30 * 60_000,
)
