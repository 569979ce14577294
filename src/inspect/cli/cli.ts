#!/usr/bin/env node
/** The `keelson` command. It alone ends its process, and only when everything it printed has gone out. */
import { processEnvironment } from '../command/environment.ts'
import { runCommandLine } from './command.ts'

/** Whoever reads the output may go away first; that is no reason to end without order. */
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()))

const status = await runCommandLine(process.argv.slice(2), processEnvironment())
await written(process.stdout)
await written(process.stderr)
process.exit(status)
