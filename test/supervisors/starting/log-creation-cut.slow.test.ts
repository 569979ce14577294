/** A first start whose thread of the log dies in the creation, and whose power goes when the folder names the log. */
import { expect, test } from 'vitest'
import { codeOf, machine } from '../../support/worlds/simulated-instance.ts'

/** How a start ends after a first one whose first thread of the log died at this call to the disk. */
const secondStart = async (death: number): Promise<unknown> => {
  let threads = 0
  const world = machine({
    dyingAt: (role) => (role === 'log' && threads++ === 0 ? death : undefined),
  })
  const onProgress = ({ step }: { readonly step: string }): void => {
    if (step === 'created') world.disk.halt()
  }
  await codeOf(world.start({ onProgress }))
  world.disk.crash({ unsynced: 'lost' })
  return codeOf(world.start())
}

test('a log that was made by a thread that died is there after a power cut, if the folder names it', async () => {
  for (let death = 1; death <= 60; death++)
    expect(await secondStart(death), `a death at call ${death}`).toBe('ok')
})
