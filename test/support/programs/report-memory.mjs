// Preloaded into a command: says on standard error how much memory it had at most, in kB, when it ends.
import { writeSync } from 'node:fs'

process.on('exit', () => {
  writeSync(2, `maxRSS ${process.resourceUsage().maxRSS}\n`)
})
