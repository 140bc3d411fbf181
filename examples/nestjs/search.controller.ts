import { Controller, Get, Headers, Inject, Query, UnauthorizedException } from '@nestjs/common';
import { Rollout } from './rollout.service.js';

@Controller()
export class SearchController {
  // With emitDecoratorMetadata, as the Nest CLI sets it, @Inject(Rollout) may be left out.
  constructor(@Inject(Rollout) private readonly rollout: Rollout) {}

  @Get('search')
  search(@Headers('x-user-id') user: string | undefined, @Query('q') query = '') {
    if (user === undefined) throw new UnauthorizedException('Sign in first.'); // Your sign-in knows the user.
    return this.rollout.search(user, query);
  }

  // A blind guard is a reason for an alert, and none to restart a service that works.
  @Get('health')
  health() {
    return { status: 'ok', guard: this.rollout.health };
  }
}
