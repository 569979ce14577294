/** An append that keeps what it is told. */
import type { Append } from '../../src/actors/queue/append-group.ts'
import type { Ticket } from '../../src/actors/queue/ticket.ts'
import {
  encodeFrame,
  encodeValue,
  frameLength,
  noExpiry,
  type Unit,
  type UnitAnswer,
} from '../../src/storage/index.ts'

/** What an append was told. */
export type Told =
  | { readonly applied: number; readonly answers: readonly UnitAnswer[] }
  | { readonly failed: unknown; readonly lsn: number | undefined }

/** A put of `key` with a value of so many bytes. */
export class TestAppend implements Append {
  readonly units: readonly Unit[]
  readonly length: number
  readonly endsAt: number
  readonly departsAt: number
  readonly commands = 1
  readonly namespace = '_root'
  state: Ticket['state'] = 'queued'
  readonly told: Told[] = []

  constructor(key: string, { bytes = 1, endsAt = 30_000, departsAt = 0 } = {}) {
    const value = encodeValue(Buffer.alloc(bytes, key))
    this.units = [{ kind: 'put', key, value, expiry: noExpiry }]
    this.length = frameLength(this.units)
    this.endsAt = endsAt
    this.departsAt = departsAt
  }

  /** The payload that it stands for. */
  get payload(): Uint8Array {
    return encodeFrame(this.units)
  }

  applied(lsn: number, answers: readonly UnitAnswer[]): void {
    this.told.push({ applied: lsn, answers })
  }

  failed(error: unknown, lsn: number | undefined): void {
    if (this.state === 'queued') this.state = 'withdrawn'
    this.told.push({ failed: error, lsn })
  }
}
