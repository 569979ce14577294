#!/usr/bin/env node
/** The `keelson` command. Only this file ends its process, after all output has been written. */
import { processEnvironment } from '../command/environment.ts'
import { runCommandLine } from './command.ts'

/** The reader of the output may end first. The command still ends in order. */
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()))

const status = await runCommandLine(process.argv.slice(2), processEnvironment())
await written(process.stdout)
await written(process.stderr)
process.exit(status)
