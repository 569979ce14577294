/**
 * Blobs without a thread, for simulations. The host handles requests one after another on a given
 * disk, and answers each `delayMs` later by a given clock, as a real disk does.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { BlobHost, BlobProtocol, BlobRequestKind, Disk } from '../../storage/index.ts'
import { Blobs } from '../../storage/index.ts'

/** What an inline host runs on. */
export type InlineBlobHostOptions = {
  readonly disk: Disk
  readonly clock: Clock
  /** From the work of a request to its answer, in ms; 0 by default: a later turn. */
  readonly delayMs?: number | (() => number)
}

type Pending = { readonly carryOut: () => void; readonly refuse: (error: KeelsonError) => void }

/** Makes a host. It handles a request when the request before it has been answered. */
export const inlineBlobHost = ({ disk, clock, delayMs = 0 }: InlineBlobHostOptions): BlobHost => {
  const blobs = new Blobs(disk)
  let waiting: Pending[] = []
  let current: Pending | undefined
  let isEnded = false
  let cancelAnswer: Cancel | undefined

  const proceed = (): void => {
    current = waiting.shift()
    current?.carryOut()
  }

  const settle = (action: () => void): void => {
    const settled = () => {
      if (isEnded) return
      action()
      proceed()
    }
    const ms = typeof delayMs === 'function' ? delayMs() : delayMs
    if (ms > 0) cancelAnswer = clock.after(ms, settled)
    else clock.soon(settled)
  }

  return {
    run: <K extends BlobRequestKind>(
      kind: K,
      request: BlobProtocol[K]['request'],
    ): Promise<BlobProtocol[K]['answer']> =>
      new Promise((resolve, reject) => {
        if (isEnded) return reject(closed())
        waiting.push({
          refuse: reject,
          carryOut() {
            try {
              const answer = blobs.handle(kind, request)
              settle(() => resolve(answer))
            } catch (error) {
              settle(() => reject(error))
            }
          },
        })
        if (!current) proceed()
      }),
    async end() {
      if (isEnded) return
      isEnded = true
      cancelAnswer?.()
      blobs.abandon()
      for (const pending of current ? [current, ...waiting] : waiting) pending.refuse(closed())
      waiting = []
    },
  }
}

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'The blobs were ended')
