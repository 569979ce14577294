/** Twenty rooms with three players each. A room crashes every two seconds; kill the program as well. */
import { call, cast, KeelsonError, start } from 'keelson'
import { roomOf, type State, tickMs, tree } from './games.ts'

const app = await start({ dir: 'keelson-data/games', attach: true, app: tree })
const titles = Array.from({ length: 20 }, (_, at) => `room-${at}`)
const names = ['ada', 'bob', 'cy']

/** The state of a room, or `undefined` while it is started again. */
const seen = async (title: string): Promise<State | undefined> => {
  try {
    return await call(await roomOf(app.system, title), 'look')
  } catch (error) {
    if (error instanceof KeelsonError) return undefined
    throw error
  }
}
const pointsOf = (state: State | undefined): number =>
  Object.values(state?.runners ?? {}).reduce((sum, { points }) => sum + points, 0)
const pointsOfAll = async (): Promise<number> => {
  const states = await Promise.all(titles.map(seen))
  return states.reduce((sum, state) => sum + pointsOf(state), 0)
}

console.log(`${await pointsOfAll()} points at the start`)
console.log(`end it with: kill -9 ${process.pid}`)
for (const title of titles)
  for (const name of names) await call(await roomOf(app.system, title), 'join', name)

/** Each player runs to the coin, faster or slower. */
setInterval(async () => {
  for (const title of titles) {
    const state = await seen(title)
    if (!state) continue
    const room = await roomOf(app.system, title)
    for (const [name, { at }] of Object.entries(state.runners)) {
      const distance = state.coin.at - at
      const speed =
        Math.sign(distance) * Math.min(Math.abs(distance), 1 + Math.floor(Math.random() * 3))
      cast(room, 'steer', { name, speed })
    }
  }
}, tickMs)
setInterval(async () => console.log(`${await pointsOfAll()} points`), 1_000)
setInterval(async () => {
  const title = titles[Math.floor(Math.random() * titles.length)] as string
  const before = await seen(title)
  app.system.kill(await roomOf(app.system, title))
  const after = await seen(title)
  console.log(`${title} crashed with ${pointsOf(before)} points, and has ${pointsOf(after)}`)
}, 2_000)
