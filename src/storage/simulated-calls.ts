/**
 * What happens to every call on the simulated disk before and after its work: it is counted, the planned fault has its
 * way, and it is recorded.
 */
import { KeelsonError } from '../errors.ts'
import { DiskError } from './disk.ts'
import {
  changingOperations,
  type DiskOperation,
  diskOperations,
  type Fault,
  FaultPlans,
  Refusal,
} from './simulated-faults.ts'

/** One call that was made. */
export type DiskCall = {
  readonly operation: DiskOperation
  readonly path: string
  /** Of a read or write; the new size of a truncation. */
  readonly offset?: number
  /** How many bytes a read or write was asked for. */
  readonly bytes?: number
  /** The code of the error that it ended with. */
  readonly error?: string
}

/** The calls on one disk. */
export class SimulatedCalls {
  readonly counts: Record<DiskOperation, number>
  readonly faults = new FaultPlans()
  /** While true, whatever would change something throws `EROFS`. */
  readOnly = false
  /** A fault stopped the process: calls are without effect until this is taken back. */
  halted = false
  #recording: DiskCall[] | undefined

  constructor() {
    this.counts = Object.fromEntries(diskOperations.map((name) => [name, 0])) as typeof this.counts
  }

  /** Starts a new record, which goes on growing. */
  record(): readonly DiskCall[] {
    this.#recording = []
    return this.#recording
  }

  /**
   * Makes a call. `action` gets the fault when it has to leave something behind, a write or a sync that fails; its
   * `Refusal`s come out as `DiskError`s. `opensToWrite` says that an `open` is to be refused on a disk that is read only.
   */
  make<T>(
    call: DiskCall,
    action: (fault: Fault | undefined) => T,
    { opensToWrite = false }: { readonly opensToWrite?: boolean } = {},
  ): T {
    const { operation, path } = call
    this.counts[operation] += 1
    try {
      const fault = this.faults.next(operation, path)
      if (fault?.kind === 'halt') this.halted = true
      if (this.halted) throw new Refusal('HALTED')
      if (this.readOnly && (opensToWrite || changes(operation))) throw new Refusal('EROFS')
      if (fault?.kind === 'error' && operation !== 'write' && operation !== 'sync')
        throw new Refusal(fault.code ?? 'EIO')
      const answer = action(fault)
      this.#recording?.push(call)
      return answer
    } catch (error) {
      const code = codeOf(error)
      if (code !== undefined) this.#recording?.push({ ...call, error: code })
      throw error instanceof Refusal ? new DiskError(error.code, operation, path) : error
    }
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Refusal || error instanceof KeelsonError ? error.code : undefined

/** A sync changes what a power cut leaves, but not what the disk shows: a disk that is read only allows it. */
const changes = (operation: DiskOperation): boolean =>
  changingOperations.includes(operation) && operation !== 'sync' && operation !== 'syncFolder'
