/** A gate that records its admissions by name. */
import { Allowance } from '../../../src/actors/admission/allowance.ts'
import { Gate } from '../../../src/actors/admission/gate.ts'
import type { Admission } from '../../../src/actors/admission/gate-token.ts'
import { virtualClock } from '../../../src/clock.ts'
import { createSystem } from '../../../src/runtime/index.ts'

/** A system, a bound over all shards, and gates under it. */
export const testWorld = ({ totalBytes = 10_000, totalCommands = 10_000 } = {}) => {
  const clock = virtualClock()
  const system = createSystem({ clock })
  const total = new Allowance(totalBytes, totalCommands)
  const testGate = (bytesMax = 100, commandsMax = 1_000) => {
    const watch = system.monitor.bind(system)
    const gate = new Gate(clock, { bytesMax, commandsMax, total, watch })
    const log: string[] = []
    const tokens = new Map<string, Admission>()
    const enter = (
      name: string,
      bytes: number,
      whenFull: 'wait' | 'refuse' = 'wait',
      commands = 1,
    ) =>
      gate.enter(
        { bytes, commands, whenFull, deadlineMs: 1_000 },
        (entry) => {
          tokens.set(name, gate.token(entry))
          log.push(name)
        },
        (error) => log.push(`${name} ${error.code}`),
      )
    const leave = (name: string) => tokens.get(name)?.leave()
    const token = (name: string) => tokens.get(name) as Admission
    return { clock, gate, log, enter, leave, token }
  }
  return { clock, system, total, testGate }
}

/** One gate with its own clock and system. */
export const testGate = (bytesMax = 100, commandsMax = 1_000) =>
  testWorld().testGate(bytesMax, commandsMax)
