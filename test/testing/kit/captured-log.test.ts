import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { capturedLog } from '../../../src/testing/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

class Instance {
  crash(): Error {
    return new Error('it has crashed')
  }
}

/** Logs a crash of an object that nothing else has. */
const crashed = (log: ReturnType<typeof capturedLog>, facts: (error: Error) => object) => {
  const instance = new Instance()
  log.error('crashed', facts(instance.crash()) as Record<string, unknown>)
  return new WeakRef(instance)
}

test.each([
  ['itself', (reason: Error) => ({ reason })],
  ['as a cause', (cause: Error) => ({ reason: new Error('two', { cause }) })],
  ['as the runtime gives it', (value: Error) => Object.defineProperty({}, 'reason', { value })],
])('a line with an error, %s, does not hold the objects of its stack', async (_, facts) => {
  const log = capturedLog()
  const instance = crashed(log, facts)

  // A WeakRef holds its object up to the end of the turn. A collection that V8 had begun before keeps it for one more.
  for (let round = 0; round < 3; round++) {
    await new Promise(setImmediate)
    collectGarbage()
  }

  expect(instance.deref()).toBeUndefined()
  expect(log.messages('error')).toEqual(['crashed'])
})
