import { shouldRepeat } from './errors.ts'

/** A deadlock or a serialization failure rolled everything back: the same transaction again, a few times. */
const TRANSACTION_TRIES = 5

export async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === TRANSACTION_TRIES || !shouldRepeat(error)) throw error
    }
  }
}
