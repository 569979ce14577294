/**
 * `keelson wal dump`: prints a log frame by frame, no faster than somebody takes it. Damaged places are printed where they are,
 * and it goes on behind them; status 0 whatever is printed, also when the reader goes away before the end.
 */

import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { dumping, nodeDisk } from '../../storage/index.ts'
import { type Environment, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { runSteps } from '../command/long-work.ts'
import { paintFor } from '../text/paint.ts'
import type { WalDumpCommand } from './wal-command-line.ts'
import { dumpJson, dumpLine, logHeading } from './wal-dump-view.ts'
import { walTarget } from './wal-target.ts'

// Prints many lines no faster than somebody takes them, in pieces of some size. Whoever reads them may go away: then it says so,
// and prints no more.

/** So many characters are gathered before they are handed on. */
const pieceSize = 64 * 1024

/** Lines on their way to a stream. */
export class LineWriter {
  readonly #stream: Writable
  #piece = ''
  #isGone = false

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /** Nobody reads any more. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Adds a line; true when enough is gathered that `flush` should be awaited. */
  add(line: string): boolean {
    this.#piece += `${line}\n`
    return this.#piece.length >= pieceSize
  }

  /** Hands on what was gathered; resolves when the stream has taken it, or will take nothing any more. */
  async flush(): Promise<void> {
    const piece = this.#piece
    this.#piece = ''
    if (piece === '' || this.#isGone) return
    await new Promise<void>((resolve) => {
      this.#stream.write(piece, (error) => {
        if (error) this.#isGone = true
        resolve()
      })
    })
  }
}

/** Runs it to its end; answers the exit status. @throws KeelsonError what cannot be read */
export const runWalDump = async (
  command: WalDumpCommand,
  environment: Environment,
): Promise<number> => {
  const disk = nodeDisk()
  const interruption = new Interruption(environment)
  const lines = new LineWriter(environment.output)
  const paint = paintFor(environment.output, environment.variables)
  const stop = new AbortController()
  const signal = AbortSignal.any([interruption.signal, stop.signal])
  try {
    const target = walTarget(disk, resolve(environment.cwd, command.dir))
    for (const log of target.logs) {
      if (!command.json && target.isDataFolder) lines.add(logHeading(log, paint))
      await runSteps(dumping(disk, log.dir, command), environment, signal, (record) => {
        if (record.kind === 'pause') return
        const line = command.json
          ? JSON.stringify(dumpJson(record, log.shard))
          : dumpLine(record, command.width, paint)
        if (!lines.add(line)) return
        return lines.flush().then(() => {
          if (lines.isGone) stop.abort()
        })
      })
      await lines.flush()
      if (signal.aborted || lines.isGone) break
    }
    const { received } = interruption
    return received ? signalStatuses[received] : 0
  } finally {
    await lines.flush()
    interruption.release()
  }
}
