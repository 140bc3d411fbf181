import { Module } from '@nestjs/common';
import { Rollout } from './rollout.service.js';
import { SearchController } from './search.controller.js';

@Module({ controllers: [SearchController], providers: [Rollout] })
export class AppModule {}
