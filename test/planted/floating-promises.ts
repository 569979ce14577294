// Planted mistakes: the linter must find each of them, or it is not looking. `lint.test.ts` runs it over this file.
const answer = async (): Promise<number> => 42

export const forgotten = (): void => {
  answer()
}

export const forgottenMethod = (store: { put(key: string): Promise<void> }): void => {
  store.put('a')
}

export const forgottenThen = (): void => {
  answer().then((value) => value + 1)
}

export const handled = async (): Promise<void> => {
  await answer()
  answer().catch(() => undefined)
  void answer()
}
