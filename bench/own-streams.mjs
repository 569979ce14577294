/** Durable streams within one process, without HTTP: each case in a new process, beside the aim that was set for it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'

export const about = 'durable streams within one process, beside their aims'

const program = new URL('./streams/inside.mjs', import.meta.url)

const aims = {
  'one after another': 'the p50 of a put and 15 %',
  'not awaited': '200,000 appends/s',
  'not awaited, by lists': '',
  '500 streams, one awaited each': '25,000 appends/s, 35 µs CPU',
  '500 streams, 100 tokens/s each': '50,000 tokens/s, 0.7 cores',
  '500 streams, 100 tokens/s each, read': 'p50 20 ms, p99 80 ms',
  'append to a reader': 'p50 1.5 ms, p99 6 ms',
  'readers that wait': '1,000 bytes of heap each',
  'catch-up of 100 MB': '300 MB/s',
  'closed streams': '0 bytes, a start as before and 5 %',
}

const figuresOf = async (name, quick) => {
  const child = fork(program, [name, `${quick === true}`], { execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit')
  const [figures] = await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`${name}: it ended with ${code}`))),
  ])
  await ended
  return figures
}

/** Runs the cases that are wanted, prints their figures and answers them. */
export const run = async ({ only, quick }) => {
  const results = []
  for (const [name, aim] of Object.entries(aims)) {
    if (!isWanted(only, name)) continue
    const figures = await figuresOf(name, quick)
    results.push({ case: name, aim, figures })
    const cells = Object.entries(figures).map(([what, figure]) => `${amount(figure)} ${what}`)
    console.log(table([[name, cells.join(', '), aim && `aim: ${aim}`]]))
  }
  return results
}
