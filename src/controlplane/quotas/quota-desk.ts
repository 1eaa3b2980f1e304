import type { AgentStore } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, ConversationId, UserId } from '../../kernel/ids.ts';
import type { Access } from '../auth/access.ts';
import { type AgentLevel, refusalOf } from '../auth/needs.ts';
import type { IdentityStore, Principal, User } from '../auth/identity.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import { type Account, agentAccount, conversationAccount, holderOf, userAccount } from './account.ts';
import type { LimitsChange, PolicyChange, QuotaBook } from './quota-book.ts';
import type { Plan } from './policy.ts';
import { type QuotaLine, statementOf } from './statement.ts';
import type { StoredLedger } from './stored-ledger.ts';

/** Whose quotas: of a user, by id or by name, or a budget of an agent or a conversation. */
export type QuotaHolder =
  | { readonly userId: UserId }
  | { readonly user: string }
  | { readonly agentId: AgentId }
  | { readonly conversationId: ConversationId };

/** What may be used and what is, with whose it is. */
export interface Statement {
  readonly holder: ReturnType<typeof holderOf> & { readonly name: string };
  readonly plan: string | null;
  readonly timeZone: string;
  readonly version: number;
  readonly quotas: QuotaLine[];
}

interface QuotaDeskOptions {
  readonly book: QuotaBook;
  readonly ledger: Pick<StoredLedger, 'balance'>;
  readonly agents: AgentStore;
  readonly disks: Pick<DiskBook, 'usedByUser' | 'usedByAgent' | 'limitOf'>;
  readonly identities: Pick<IdentityStore, 'findUser' | 'findUserByName'>;
  readonly access: Pick<Access, 'agent' | 'conversation' | 'permit'>;
}

/**
 * Where people see and change quotas. Everyone sees their own, those of the agents that they may view, and gives budgets to
 * the agents that they own, with their conversations; who may see people sees everyone's, and administrators change them. A
 * user who is not the caller does not exist for members. Plans are asked for and changed by who may: see `needs.ts`.
 */
export class QuotaDesk {
  readonly #options: QuotaDeskOptions;

  constructor(options: QuotaDeskOptions) {
    this.#options = options;
  }

  /** Of the caller without `of`. Errors: USER_NOT_FOUND, AGENT_NOT_FOUND, CONVERSATION_NOT_FOUND. */
  async statement(by: Principal, of: QuotaHolder = { userId: by.userId }): Promise<Statement> {
    const { account, name } = await this.#find(by, of, 'view');
    return await this.#statement(account, name);
  }

  /** Errors: those of `statement`; FORBIDDEN for members who change a user; those of `QuotaBook.change`. */
  async change(by: Principal, of: QuotaHolder, change: PolicyChange): Promise<Statement> {
    const { account, name } = await this.#find(by, of, 'own');
    if (holderOf(account).kind === 'user') this.#options.access.permit({ principal: by, need: 'administer' });
    await this.#options.book.change(account, change);
    return await this.#statement(account, name);
  }

  async plans(): Promise<readonly Plan[]> {
    return await this.#options.book.plans();
  }

  async changePlan(name: string, change: { readonly version: number; readonly limits: LimitsChange }): Promise<Plan> {
    return await this.#options.book.changePlan(name, change);
  }

  async removePlan(name: string, version: number): Promise<void> {
    await this.#options.book.removePlan(name, version);
  }

  async #statement(account: Account, name: string): Promise<Statement> {
    const { book } = this.#options;
    const { plan, version } = await book.policy(account);
    const { timeZone } = await book.of(account);
    const quotas = await statementOf(account, this.#options);
    return { holder: { ...holderOf(account), name }, plan, timeZone, version, quotas };
  }

  async #find(
    by: Principal,
    of: QuotaHolder,
    need: AgentLevel,
  ): Promise<{ readonly account: Account; readonly name: string }> {
    const { access } = this.#options;
    if ('agentId' in of) {
      const { id, name } = await access.agent({ principal: by, need }, of.agentId);
      return { account: agentAccount(id), name };
    }
    if ('conversationId' in of) {
      const { id, title } = await access.conversation({ principal: by, need }, of.conversationId);
      return { account: conversationAccount(id), name: title };
    }
    const user = await this.#findUser(of);
    if (user === undefined || (user.id !== by.userId && refusalOf(by, 'oversee') !== undefined)) {
      throw new CaissonError('USER_NOT_FOUND', `There is no user ${'userId' in of ? of.userId : of.user}.`);
    }
    return { account: userAccount(user.id), name: user.name };
  }

  async #findUser(of: Extract<QuotaHolder, { userId: unknown } | { user: unknown }>): Promise<User | undefined> {
    const { identities } = this.#options;
    return 'userId' in of ? await identities.findUser(of.userId) : await identities.findUserByName(of.user);
  }
}
