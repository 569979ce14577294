/**
 * The program that runs one contender in one case, in a process of its own: what a library leaves in the heap and in the
 * compiler's statistics is then its own affair. It is told a count, does that much work, and answers how long it took. A
 * run whose handled messages are not as many as its sent ones is an error, not a figure.
 */
import { Stopwatch } from './stopwatch.mjs'

const [file, contenderName, caseId] = process.argv.slice(2)
const { contenders } = await import(file)
const contender = contenders.find(({ name }) => name === contenderName)
const { run } = await contender.cases[caseId]()

const measure = async (count) => {
  const watch = new Stopwatch()
  watch.restart()
  const answer = await run(count, watch)
  const time = watch.read()
  const { done, bytes } = typeof answer === 'number' ? { done: answer } : answer
  if (done !== count) throw new Error(`${contenderName}, ${caseId}: ${done} done of ${count}`)
  return { count, bytes, ...time }
}

// One measurement after another: the next is asked for when the last was answered.
process.on('message', ({ count }) => {
  measure(count).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error?.stack ?? error) }),
  )
})
process.on('disconnect', () => process.exit())
process.send({ ready: true })
