/**
 * Members of an engine with the words of `FolderMembers`, so that a test is tried with both: their caches are on one disk,
 * as folders of one machine are.
 */
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { SpreadMembers } from './spread-members.ts'

/** Members on one machine. */
export class EngineMembers extends SpreadMembers {
  static readonly noLogs = 'the members of an engine have leases, and no logs of their own'
  readonly machine = new SimulatedMachine({ clock: this.clock })

  #starts = 0

  override machineOf(): SimulatedMachine {
    return this.machine
  }

  /** Another folder for each start: a killed one has its lock on this disk still. */
  /** Another folder for each start: a killed one has its lock on this disk still. */
  override begin(member: string, given: Partial<StartOptions> = {}) {
    return super.begin(member, { dir: `/data-${member}-${++this.#starts}`, ...given })
  }

  /** The disk goes on with the processes of the others. */
  protected override leaveDisk(): void {}
}
