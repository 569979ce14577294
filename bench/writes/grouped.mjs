/**
 * Grouping by hand, for stores that commit what they are handed as one: everything that comes within a turn of the event
 * loop, or while a commit is under way, is the next group.
 */
export const grouped = (commit) => {
  let waiting = []
  let isBusy = false
  const settle = async () => {
    const group = waiting
    waiting = []
    try {
      const pending = commit(group.map(({ operation }) => operation))
      // A commit that blocks has nothing to await; a promise more would cost it a turn.
      if (pending !== undefined) await pending
      for (const { resolve } of group) resolve()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
    isBusy = false
    if (waiting.length > 0) schedule()
  }
  const schedule = () => {
    isBusy = true
    setImmediate(() => void settle())
  }
  return (operation) =>
    new Promise((resolve, reject) => {
      waiting.push({ operation, resolve, reject })
      if (!isBusy) schedule()
    })
}
