/** The queue with work to do: five customers, a maker that fails now and then, and the dashboard. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from 'keelson'
import { add, type Make, serverOf, thumbnailQueue, treeOf } from './jobs.ts'

const made = 'keelson-data/jobs-made'
mkdirSync(made, { recursive: true })

/** Under one key it writes one file, however often it is asked. */
const make: Make = async ({ customer, name }, key, signal) => {
  await sleep(200 + Math.random() * 400, undefined, { signal })
  if (Math.random() < 0.3) throw new Error(`${name} is no picture`)
  const file = `${made}/${encodeURIComponent(key)}`
  writeFileSync(file, `${customer}: ${name}`)
  return file
}

const thumbnails = thumbnailQueue(make)
const app = await start({ dir: 'keelson-data/jobs', attach: true, app: treeOf(thumbnails) })
const page = readFileSync(new URL('page.html', import.meta.url), 'utf8')
const port = Number(process.env.PORT ?? 8081)
serverOf(app, thumbnails, page).listen(port, '127.0.0.1', () => {
  console.log(
    `the dashboard: http://127.0.0.1:${port}/ or npx keelson observe --dir keelson-data/jobs`,
  )
  console.log(`end it with: kill -9 ${process.pid}`)
})

// Work for about twenty seconds, at each start.
const customers = ['ada', 'bob', 'cy', 'dee', 'eve']
for (let number = 0; number < 300; number++) {
  const customer = customers[number % customers.length] as string
  await add(app, thumbnails, { customer, name: `${Date.now()}-${number}.jpg` })
}
