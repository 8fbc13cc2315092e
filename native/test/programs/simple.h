// Made by make_programs.py, do not edit. `slots` depends on the number of units and is
// left to the test.
// clang-format off
#pragma once

#include "../program.h"

namespace simple {
static const tt_op op0[] = {{17,0,1024,2048,0}, {35,10240,0,0,0}};
static const tt_phase phase1[] = {{-1,0,2,0,0}};
static const tt_op op2[] = {{35,15360,7168,0,0}};
static const tt_phase phase3[] = {{-1,0,1,0,0}};
static const tt_op op4[] = {{32,0,1024,2048,0}, {35,10240,0,0,0}};
static const tt_op op5[] = {{34,0,10240,0,0}, {28,0,7168,0,0}, {35,15360,0,0,0}};
static const tt_phase phase6[] = {{-1,0,3,0,0}};
static const tt_op op7[] = {{32,0,1024,2048,0}, {35,10240,0,0,0}, {36,12288,0,0,0}};
static const tt_op op8[] = {{34,0,12288,0,0}, {28,0,7168,0,0}, {35,15360,0,0,0}};
static const tt_op op9[] = {{33,0,1024,2048,0}, {35,10240,0,0,0}};
static const tt_op op10[] = {{34,0,10240,0,0}, {29,0,7168,0,0}, {35,15360,0,0,0}};
static const tt_op op11[] = {{33,0,1024,2048,0}, {35,10240,0,0,0}, {36,12288,0,0,0}};
static const tt_op op12[] = {{34,0,12288,0,0}, {29,0,7168,0,0}, {35,15360,0,0,0}};
static const tt_op op13[] = {{17,0,1024,2048,0}, {8,0,0,0,0}, {35,10240,0,0,0}};
static const tt_op op14[] = {{34,0,10240,0,0}, {23,0,0,5120,0}, {27,0,0,7168,5120},
{35,15360,0,0,0}};
static const tt_phase phase15[] = {{-1,0,4,0,0}};
static const double double16[] = {0.0};
static const tt_op op17[] = {{17,0,1024,2048,0}, {8,0,0,0,0}, {35,10240,0,0,0},
{36,12288,0,0,0}};
static const tt_op op18[] = {{34,0,12288,0,0}, {23,0,0,5120,0}, {27,0,0,7168,5120},
{35,15360,0,0,0}};
static const tt_op op19[] = {{17,0,1024,2048,0}, {36,12289,0,0,0}, {14,1,0,0,0},
{36,12288,1,0,0}, {19,1,0,1,0}, {35,10240,1,0,0}};
static const tt_phase phase20[] = {{-1,0,6,0,0}};
static const tt_op op21[] = {{34,0,12289,0,0}, {19,1,7168,0,0}, {19,0,0,0,0},
{19,0,0,5120,0}, {2,0,0,0,0}, {19,0,0,5121,0}, {19,0,1,0,0}, {34,1,12288,0,0},
{30,0,7168,1,0}, {35,15360,0,0,0}};
static const tt_phase phase22[] = {{-1,0,10,0,0}};
static const double double23[] = {-0.5,0.3989422804014327};
static const tt_op op24[] = {{17,0,1024,2048,0}, {14,1,0,0,0}, {19,1,0,1,0},
{35,10240,1,0,0}};
static const tt_op op25[] = {{17,0,1024,2048,0}, {36,12288,0,0,0}, {9,0,0,0,0},
{35,10240,0,0,0}};
static const tt_op op26[] = {{34,0,12288,0,0}, {7,0,0,0,0}, {19,0,7168,0,0},
{35,15360,0,0,0}};
static const tt_op op27[] = {{17,0,1024,2048,0}, {9,0,0,0,0}, {35,10240,0,0,0}};
static const tt_op op28[] = {{17,0,1024,2048,0}, {36,12288,0,0,0}, {23,1,0,5120,0},
{24,2,5120,0,0}, {27,2,2,0,5120}, {3,2,2,0,0}, {19,2,5121,2,0}, {27,2,1,0,2},
{35,10240,2,0,0}};
static const tt_phase phase29[] = {{-1,0,9,0,0}};
static const tt_op op30[] = {{34,0,12288,0,0}, {23,1,0,5120,0}, {27,2,1,7168,5120},
{24,3,5120,0,0}, {27,1,1,5120,7168}, {19,1,1,5121,0}, {27,0,3,0,5120}, {3,0,0,0,0},
{17,0,0,5122,0}, {19,0,1,0,0}, {27,0,3,0,5120}, {17,0,2,0,0}, {35,15360,0,0,0}};
static const tt_phase phase31[] = {{-1,0,13,0,0}};
static const double double32[] = {0.0,0.5,1.0};
static const tt_op op33[] = {{17,0,1024,2048,0}, {23,1,0,5120,0}, {24,2,5120,0,0},
{27,2,2,0,5120}, {3,2,2,0,0}, {19,2,5121,2,0}, {27,2,1,0,2}, {35,10240,2,0,0}};
static const tt_phase phase34[] = {{-1,0,8,0,0}};
static const double double35[] = {0.0,0.5};
static const tt_op op36[] = {{17,0,1024,2048,0}, {23,1,0,5120,0}, {36,12288,1,0,0},
{19,2,5121,0,0}, {27,2,1,0,2}, {35,10240,2,0,0}};
static const tt_op op37[] = {{34,0,12288,0,0}, {27,1,0,5120,7168}, {27,0,0,7168,5120},
{30,0,1,5121,0}, {35,15360,0,0,0}};
static const tt_phase phase38[] = {{-1,0,5,0,0}};
static const tt_op op39[] = {{17,0,1024,2048,0}, {23,1,0,5120,0}, {19,2,5121,0,0},
{27,2,1,0,2}, {35,10240,2,0,0}};
static const tt_op op40[] = {{17,0,1024,2048,0}, {36,12288,0,0,0}, {23,1,0,5120,0},
{19,2,4096,0,0}, {27,2,1,0,2}, {35,10240,2,0,0}};
static const tt_op op41[] = {{34,0,12288,0,0}, {23,1,0,5120,0}, {27,2,1,5120,7168},
{27,1,1,7168,5120}, {30,1,2,4096,1}, {35,15360,1,0,0}, {19,0,2,0,0}, {37,4096,0,0,0}};
static const tt_op op42[] = {{17,0,1024,2048,0}, {23,1,0,5120,0}, {19,2,4096,0,0},
{27,2,1,0,2}, {35,10240,2,0,0}};
static const tt_op op43[] = {{33,0,1024,2048,0}, {36,12288,0,0,0}, {19,0,5120,0,0},
{34,1,8192,0,0}, {30,0,5121,1,0}, {35,10240,0,0,0}};
static const tt_op op44[] = {{19,0,7168,5120,0}, {34,1,12288,0,0}, {29,1,0,1,0},
{35,15360,1,0,0}, {19,1,7168,5121,0}, {35,7168,1,0,0}};
static const double double45[] = {0.25,0.75};
static const tt_op op46[] = {{33,0,1024,2048,0}, {19,0,5121,0,0}, {34,1,8192,0,0},
{30,0,5120,1,0}, {35,10240,0,0,0}};
static const double double47[] = {0.75,0.25};
static const tt_op op48[] = {{17,0,1024,2048,0}, {36,12288,0,0,0}, {23,1,0,5120,0},
{19,2,4096,0,0}, {27,2,1,0,2}, {19,2,5121,2,0}, {34,0,8192,0,0}, {30,2,5122,0,2},
{35,10240,2,0,0}};
static const tt_op op49[] = {{34,0,12288,0,0}, {23,1,0,5120,0}, {19,2,7168,5121,0},
{27,3,1,5120,2}, {27,2,1,2,5120}, {30,2,3,4096,2}, {35,15360,2,0,0}, {19,0,3,0,0},
{37,4096,0,0,0}, {19,0,7168,5122,0}, {35,7168,0,0,0}};
static const tt_phase phase50[] = {{-1,0,11,0,0}};
static const double double51[] = {0.0,0.25,0.75};
static const tt_op op52[] = {{17,0,1024,2048,0}, {23,1,0,5122,0}, {19,2,4096,0,0},
{27,2,1,0,2}, {19,2,5121,2,0}, {34,0,8192,0,0}, {30,2,5120,0,2}, {35,10240,2,0,0}};
static const double double53[] = {0.75,0.25,0.0};
static const Program all[] = {
{"elman_identity",true,true,false,{{op0,phase1,nullptr,1,1,0},
{op2,phase3,nullptr,1,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_identity",true,false,false,{{op0,phase1,nullptr,1,1,0},
{op2,phase3,nullptr,1,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_identity",false,false,false,{{op0,phase1,nullptr,1,1,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_sigmoid",true,true,false,{{op4,phase1,nullptr,1,1,0},
{op5,phase6,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,0,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_sigmoid",true,false,false,{{op7,phase6,nullptr,1,1,0},
{op8,phase6,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_sigmoid",false,false,false,{{op4,phase1,nullptr,1,1,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_tanh",true,true,false,{{op9,phase1,nullptr,1,1,0},
{op10,phase6,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,0,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_tanh",true,false,false,{{op11,phase6,nullptr,1,1,0},
{op12,phase6,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_tanh",false,false,false,{{op9,phase1,nullptr,1,1,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_relu",true,true,false,{{op13,phase6,nullptr,1,1,0},
{op14,phase15,nullptr,1,1,0},double16,1,1,1,0,0,{},0,0,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_relu",true,false,false,{{op17,phase15,nullptr,1,1,0},
{op18,phase15,nullptr,1,1,0},double16,1,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_relu",false,false,false,{{op13,phase6,nullptr,1,1,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_gelu",true,true,false,{{op19,phase20,nullptr,1,2,0},
{op21,phase22,nullptr,1,2,0},double23,2,1,1,0,0,{},0,2,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_gelu",true,false,false,{{op19,phase20,nullptr,1,2,0},
{op21,phase22,nullptr,1,2,0},double23,2,1,1,0,0,{},0,2,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_gelu",false,false,false,{{op24,phase15,nullptr,1,2,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_softplus",true,true,false,{{op25,phase15,nullptr,1,1,0},
{op26,phase15,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_softplus",true,false,false,{{op25,phase15,nullptr,1,1,0},
{op26,phase15,nullptr,1,1,0},nullptr,0,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_softplus",false,false,false,{{op27,phase6,nullptr,1,1,0},
{nullptr,nullptr,nullptr,0,0,0},nullptr,0,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_elu",true,true,false,{{op28,phase29,nullptr,1,3,0},
{op30,phase31,nullptr,1,4,0},double32,3,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_elu",true,false,false,{{op28,phase29,nullptr,1,3,0},
{op30,phase31,nullptr,1,4,0},double32,3,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_elu",false,false,false,{{op33,phase34,nullptr,1,3,0},
{nullptr,nullptr,nullptr,0,0,0},double35,2,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_leaky_relu",true,true,false,{{op36,phase20,nullptr,1,3,0},
{op37,phase38,nullptr,1,2,0},double35,2,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_leaky_relu",true,false,false,{{op36,phase20,nullptr,1,3,0},
{op37,phase38,nullptr,1,2,0},double35,2,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_leaky_relu",false,false,false,{{op39,phase38,nullptr,1,3,0},
{nullptr,nullptr,nullptr,0,0,0},double35,2,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"elman_prelu",true,true,false,{{op40,phase20,nullptr,1,3,0},
{op41,phase34,nullptr,1,3,0},double16,1,1,1,0,0,{},1,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_prelu",true,false,false,{{op40,phase20,nullptr,1,3,0},
{op41,phase34,nullptr,1,3,0},double16,1,1,1,0,0,{},1,1,0,0,1,0,0,{}, {}, {}, {},0}},
{"elman_prelu",false,false,false,{{op42,phase38,nullptr,1,3,0},
{nullptr,nullptr,nullptr,0,0,0},double16,1,1,1,0,0,{},1,0,0,0,0,0,0,{}, {}, {}, {},0}},
{"leaky_tanh",true,true,false,{{op43,phase20,nullptr,1,2,0},
{op44,phase20,nullptr,1,2,0},double45,2,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},1}},
{"leaky_tanh",true,false,false,{{op43,phase20,nullptr,1,2,0},
{op44,phase20,nullptr,1,2,0},double45,2,1,1,0,0,{},0,1,0,0,1,0,0,{}, {}, {}, {},1}},
{"leaky_tanh",false,false,false,{{op46,phase38,nullptr,1,2,0},
{nullptr,nullptr,nullptr,0,0,0},double47,2,1,1,0,0,{},0,0,0,0,0,0,0,{}, {}, {}, {},1}},
{"leaky_prelu",true,true,false,{{op48,phase29,nullptr,1,3,0},
{op49,phase50,nullptr,1,4,0},double51,3,1,1,0,0,{},1,1,0,0,1,0,0,{}, {}, {}, {},1}},
{"leaky_prelu",true,false,false,{{op48,phase29,nullptr,1,3,0},
{op49,phase50,nullptr,1,4,0},double51,3,1,1,0,0,{},1,1,0,0,1,0,0,{}, {}, {}, {},1}},
{"leaky_prelu",false,false,false,{{op52,phase34,nullptr,1,3,0},
{nullptr,nullptr,nullptr,0,0,0},double53,3,1,1,0,0,{},1,0,0,0,0,0,0,{}, {}, {}, {},1}},
};
}
