/** docs/otp.md names functions of ours for OTP's: each of them must be there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as keelson from '../src/index.ts'
import type { BareContext } from '../src/runtime/index.ts'
import * as stateMachine from '../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../src/testing/index.ts'

/** What the second column of the tables names, as `of.function`, or as a function of the package. */
const named = (): string[] => {
  const rows = readFileSync('docs/otp.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  const cells = rows.map((row) => row.split(/(?<!\\)\|/)[2] ?? '')
  const code = cells.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? ''),
  )
  return [...new Set(code.flatMap((text) => /^(?:\w+\.)\w+|^\w+(?=\()/.exec(text) ?? []))]
}

/** Words of the prompt, messages and files stand in the tables too. */
const otherWords =
  /^(tree|ps|top|info|state|trace|terminate|(keelson\.config|calls|casts|infos|continues|from|system\.events)\b.*)$/

test('every function that the tables of docs/otp.md name is there', async () => {
  const { system, probe } = testSystem()
  const context = await probe().act((own: BareContext) => own)
  const all: Record<string, unknown> = { ...keelson, ...stateMachine, system, context }

  const missing = named()
    .filter((text) => !otherWords.test(text))
    .filter((text) => {
      const [of = '', member] = text.split('.')
      if (!(of in all)) return true
      return member !== undefined && !(member in Object(all[of]))
    })

  expect(missing).toEqual([])
  expect(named().length).toBeGreaterThan(40)
})
