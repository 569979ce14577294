/**
 * `keelson wal dump`: prints a log frame by frame, no faster than its reader. Damaged places are
 * printed in their position, and the dump continues after them. Exit status 0, also when the reader
 * ends early; 1 for a folder without a log.
 */

import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { isKeelsonError } from '../../errors.ts'
import { dumping, nodeDisk } from '../../storage/index.ts'
import { walTarget } from '../../tools/index.ts'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { runSteps } from '../command/long-work.ts'
import { errorText } from '../text/error-view.ts'
import { paintFor } from '../text/paint.ts'
import type { WalDumpCommand } from './wal-command-line.ts'
import { dumpJson, dumpLine, logHeading, withoutValues } from './wal-dump-view.ts'

// Prints many lines in pieces, no faster than the reader takes them. If the reader ends, it stops
// printing and says so.

/** The number of characters gathered before a write. */
const pieceSize = 64 * 1024

/** Lines for a stream. */
export class LineWriter {
  readonly #stream: Writable
  #piece = ''
  #isGone = false

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /** The reader has ended. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Adds a line. True: enough is gathered, and `flush` should be awaited. */
  add(line: string): boolean {
    this.#piece += `${line}\n`
    return this.#piece.length >= pieceSize
  }

  /** Writes the gathered lines. Resolves when the stream has taken them, or has closed. */
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

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error of an unreadable folder; `NO_SEGMENTS` if there is no log
 */
export const runWalDump = async (
  command: WalDumpCommand,
  environment: Environment,
): Promise<number> => {
  const disk = nodeDisk()
  const interruption = new Interruption(environment)
  const lines = new LineWriter(environment.output)
  const paint = paintFor(environment.output, environment.variables)
  const stop = new AbortController()
  let status = 0
  const signal = AbortSignal.any([interruption.signal, stop.signal])
  const work = { environment, signal }
  try {
    const target = walTarget(disk, resolve(environment.cwd, command.dir))
    for (const log of target.logs) {
      if (!command.json && target.isDataFolder) lines.add(logHeading(log, paint))
      try {
        await runSteps(dumping(disk, log.dir, command), work, (record) => {
          if (record.kind === 'pause') return
          const json = () => dumpJson(record, log.known?.shard)
          const line = command.json
            ? JSON.stringify(command.reveal ? json() : withoutValues(json()))
            : dumpLine(record, paint)
          if (!lines.add(line)) return
          return lines.flush().then(() => {
            if (lines.isGone) stop.abort()
          })
        })
      } catch (error) {
        if (signal.aborted) break
        // The other shards are shown all the same.
        if (!target.isDataFolder || !isKeelsonError(error, 'NO_SEGMENTS')) throw error
        printLine(environment.errors, errorText(error))
        status = 1
      }
      await lines.flush()
      if (signal.aborted || lines.isGone) break
    }
    const { received } = interruption
    return received ? signalStatuses[received] : status
  } finally {
    await lines.flush()
    interruption.release()
  }
}
